"""The reference implementation: ``d2l.torch`` of d2l 0.17.0.

The material of chapters 1 to 4 is widely known through this library, so the chapters
and the parity tests hold our code against it. Nothing else in ``companion`` imports it.
"""

import importlib
import sys
from types import ModuleType

from companion import datasets


def _ensure_torchvision() -> None:
    """Make ``import torchvision`` succeed.

    ``d2l.torch`` imports torchvision at the top, and its wheel refuses to load beside
    some builds of PyTorch. Nothing in this book looks at an image, so a bare module
    takes its place where the real one fails, and only there.
    """
    try:
        importlib.import_module("torchvision")
    except Exception:  # a broken wheel raises RuntimeError or OSError, not ImportError
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        stand_in = ModuleType("torchvision", "Stand-in: torchvision does not load here.")
        stand_in.transforms = ModuleType("torchvision.transforms")
        sys.modules["torchvision"] = stand_in
        sys.modules["torchvision.transforms"] = stand_in.transforms


def load_d2l() -> ModuleType:
    """Import ``d2l.torch`` and point its download at our checked file.

    Returns:
        The module. Its ``download("time_machine")`` returns the path of the file that
        :func:`companion.datasets.time_machine` reads; other downloads are as they were.

    Raises:
        ImportError: If d2l is missing or another version than 0.17.0.
    """
    _ensure_torchvision()
    package = importlib.import_module("d2l")
    if package.__version__ != "0.17.0":
        raise ImportError(f"d2l is {package.__version__}; accepted: 0.17.0")
    d2l = importlib.import_module("d2l.torch")
    if not hasattr(d2l, "_companion_download"):
        d2l._companion_download = d2l.download

        def download(name: str, *args, **kwargs) -> str:
            if name == "time_machine":
                return str(datasets.time_machine_path())
            return d2l._companion_download(name, *args, **kwargs)

        d2l.download = download
    return d2l
