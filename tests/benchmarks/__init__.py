"""How fast the companion's layers are: see ``python -m tests.benchmarks``."""
