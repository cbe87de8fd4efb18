"""``python -m companion.classify``: see :mod:`companion.classify.command`."""

import sys

from companion.classify.command import main

sys.exit(main())
