"""The records of the long experiments, from which the pages draw."""

import importlib.resources
import json
from pathlib import Path

from companion.support.files import REINSTALL, DatasetError

FOLDER = importlib.resources.files("companion") / "data" / "records"


def load(name: str) -> dict:
    """Return the record of a long experiment, as ``companion.experiments`` wrote it.

    Args:
        name: ``"classic"``, ``"layers"``, ``"lab_d"``, or another of the folder.

    Returns:
        ``"provenance"`` (command, date, versions, seeds, checksum of the data) and
        ``"results"``, one entry a job.

    Raises:
        ValueError: If there is no record of that name.
        DatasetError: If the records cannot be read.

    Example:
        >>> load("layers")["provenance"]["seeds"]
        [0, 1, 2, 3, 4, 5]
    """
    try:
        known = sorted(Path(file.name).stem for file in FOLDER.iterdir())
        if name in known:
            return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{FOLDER} cannot be read ({error}). {REINSTALL}") from error
    raise ValueError(f"name is {name!r}; accepted: {known}")
