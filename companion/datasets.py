"""The book's data: The Time Machine, and surnames in 18 languages.

:mod:`companion.support.files` says where they come from: a folder that the environment
variable ``COMPANION_DATA`` names, a cache, the network, or a small sample.
"""

from pathlib import Path

from companion.support import files
from companion.support.files import CHECKSUMS, NAMES, TEXT
from companion.support.files import DatasetError as DatasetError

#: The 18 languages, sorted.
LANGUAGES = tuple(sorted(Path(f).stem for f in CHECKSUMS if f.startswith("names/")))


def time_machine() -> str:
    """Return the whole text of The Time Machine.

    Raises:
        DatasetError: If the text could not be had intact.
    """
    return files.read(TEXT)[TEXT]


def time_machine_path() -> Path:
    """Return the path of the file that ``time_machine`` reads, absolute, checked now.

    Its text is UTF-8, with the line ends of Unix or of Windows.

    Raises:
        DatasetError: If the text could not be had intact.
    """
    files.read(TEXT)
    return files.folder_of(TEXT) / TEXT


def names() -> dict[str, list[str]]:
    r"""Read the surnames of each language.

    Returns:
        Language to rows, languages sorted. A row is what stands between two ``"\n"``
        of the file (UTF-8), with all duplicates, stray characters and blanks.

    Raises:
        DatasetError: If the names could not be had intact.
    """
    rows = {f: t.removesuffix("\n").split("\n") for f, t in files.read(NAMES).items()}
    return {Path(file).stem: found for file, found in rows.items()}


def origin() -> tuple[str, str]:
    """Tell where the data comes from, fetching it if need be.

    Returns:
        ``"real"`` if both datasets are, else ``"sample"``, and why, in one line.

    Raises:
        DatasetError: If a dataset could not be had intact.
    """
    folders, reasons = zip(files.locate(TEXT), files.locate(NAMES), strict=True)
    mode = "sample" if files.SAMPLE in folders else "real"
    if reasons[0] == reasons[1]:
        return mode, reasons[0]
    return mode, f"{TEXT}: {reasons[0]}; {NAMES}: {reasons[1]}"
