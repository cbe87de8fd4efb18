"""Run a long experiment and record it: ``python -m companion.experiments NAME``."""

from companion.experiments.recording import main

if __name__ == "__main__":
    main()
