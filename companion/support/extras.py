"""What only the chapters need: imported on demand, or said how to have it."""

import importlib
from types import ModuleType


def load(module: str, library: str) -> ModuleType:
    """Import a module of a library that the extra ``chapters`` brings.

    Raises:
        ImportError: If the library is missing; the message says how to have it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{library} is missing, and this needs it; accepted: the library with its "
            "extra, pip install 'rnn-companion[chapters]'"
        ) from error
