"""The reference implementation: ``d2l.torch`` of d2l 0.17.0.

The material of chapters 1 to 5 is widely known through this library, so the chapters
and the parity tests hold our code against it. Nothing else in ``companion`` imports it.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from companion import datasets
from companion.support import extras

VERSION = "0.17.0"


@contextmanager
def _importable_torchvision() -> Iterator[None]:
    """Make ``import torchvision`` succeed inside the block.

    ``d2l.torch`` imports torchvision at its top, and torchvision's wheel refuses to
    load beside some builds of PyTorch. This book looks at no image, so where the real
    module fails an empty one takes its place, and only until d2l has been imported:
    nothing else gets to see it.
    """
    try:
        importlib.import_module("torchvision")
    except Exception:  # a mismatched wheel raises RuntimeError or OSError too
        pass
    else:
        yield
        return
    stand_in = ModuleType("torchvision")
    stand_in.transforms = ModuleType("torchvision.transforms")
    sys.modules["torchvision"] = stand_in
    sys.modules["torchvision.transforms"] = stand_in.transforms
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]


def load_d2l() -> ModuleType:
    """Import ``d2l.torch`` and point its download of the book at our checked file.

    Returns:
        The module. Its ``download("time_machine")`` returns the path of the file that
        :func:`companion.datasets.time_machine` reads; other downloads are as they were.

    Raises:
        ImportError: If d2l is missing or is not version 0.17.0.
    """
    version = getattr(
        extras.load("d2l", f"d2l {VERSION}"), "__version__", "of unknown version"
    )
    if version != VERSION:
        raise ImportError(f"d2l is {version}; accepted: {VERSION}")
    with _importable_torchvision():
        d2l = importlib.import_module("d2l.torch")
    if not hasattr(d2l.download, "original"):
        original = d2l.download

        def download(name: str, *args, **kwargs) -> str:
            if name == "time_machine":
                return str(datasets.time_machine_path())
            return original(name, *args, **kwargs)

        download.original = original
        d2l.download = download
    return d2l
