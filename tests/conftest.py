"""What the library's tests need before the first of them imports PyTorch."""

import os

# pytest runs as many workers as it is told; threads of their own would only make them
# wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# No window, also where there is a screen. Where book/conftest.py is loaded as well, the
# backend of the notebooks, which opens none either, has the last word.
os.environ["MPLBACKEND"] = "agg"


def pytest_itemcollected(item):
    """What drives a browser is slow, and left to the gate."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("slow")
