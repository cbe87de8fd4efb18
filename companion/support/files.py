"""Where the files of the two datasets lie, and whether they are as published.

Each dataset comes from the first of these that applies: the folder that the
environment variable ``COMPANION_DATA`` names, the download cache, its public address,
the sample bundled with this package. All but the sample match ``data/SHA256SUMS``.
A file is checked whenever it is read. The sample steps in only where nothing at all
could be fetched, or where ``COMPANION_DATA=sample`` asks for it, and says so on stderr;
damaged data is an error.
"""

import functools
import hashlib
import importlib.resources
import os
import sys
import tempfile
import threading
from pathlib import Path

import pooch

from companion.support.download import DamagedError, NothingArrivedError, fetch, unpack

# A dataset is called what it is called at the top of a data folder.
TEXT, NAMES = "timemachine.txt", "names"

#: Where each dataset is published; the zip holds ``data/names/*.txt``.
URLS = {
    TEXT: "http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
    NAMES: "https://download.pytorch.org/tutorial/data.zip",
}
#: The most bytes that are fetched.
LIMITS = {TEXT: 2**20, NAMES: 2**24}
#: SHA-256 of the zip, as PyTorch's tutorials pin it too.
ARCHIVE = "fb317e80248faeb62dc25ef3390ae24ca34b94e276bbc5141fd8862c2200bff5"

BUNDLED = importlib.resources.files("companion") / "data"
SAMPLE = Path(str(BUNDLED / "sample"))
_SUMS = (BUNDLED / "SHA256SUMS").read_text(encoding="ascii").split()

#: SHA-256, in hexadecimal, of each file of a data folder.
CHECKSUMS = dict(zip(_SUMS[1::2], _SUMS[::2], strict=True))
REINSTALL = "It is part of the package: install that again."


class DatasetError(RuntimeError):
    """The data could not be had intact; the message names the file and the remedy."""


def _files(dataset: str) -> list[str]:
    """List the files of a dataset, relative to a data folder, sorted."""
    return sorted(file for file in CHECKSUMS if file.split("/")[0] == dataset)


def _intact(content: bytes, file: str) -> bytes | None:
    """Return a file as it was published, whatever its line ends; else None."""
    for version in (content, content.replace(b"\r\n", b"\n")):
        if hashlib.sha256(version).hexdigest() == CHECKSUMS[file]:
            return version
    return None


def _load(folder: Path, file: str) -> tuple[str, str | None]:
    """Return the text of a file, and what is wrong with it, None if it is intact."""
    try:
        # By way of bytes: text mode would take a stray "\r" for a line end.
        content = (folder / file).read_bytes()
        if folder == SAMPLE:
            return content.replace(b"\r\n", b"\n").decode("utf-8"), None
        content = _intact(content, file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "", "is missing"
    except (OSError, UnicodeDecodeError) as error:
        return "", f"cannot be read ({error})"
    if content is None:
        return "", "has the wrong SHA-256 checksum"
    return content.decode("utf-8"), None


def read(dataset: str) -> dict[str, str]:
    """Return the files of a dataset as text, each checked as it is read."""
    for _ in range(2):
        folder = folder_of(dataset)
        loaded = {file: _load(folder, file) for file in _files(dataset)}
        faults = [f"{folder / f} {fault}" for f, (_, fault) in loaded.items() if fault]
        if not faults:
            return {file: text for file, (text, _) in loaded.items()}
        if folder == SAMPLE:
            break
        _decide.cache_clear()  # changed since: decide, and say what is wrong, anew
    raise DatasetError(
        f"{faults[0]}. {REINSTALL if folder == SAMPLE else 'Run again.'}"
    )


_lock, _noticed = threading.Lock(), set()


def folder_of(dataset: str) -> Path:
    """Locate the folder of a dataset and say so, once, if it is the sample's."""
    folder, reason = locate(dataset)
    with _lock:
        if folder == SAMPLE and dataset not in _noticed:
            _noticed.add(dataset)
            print(
                f"companion: {dataset} is the bundled sample ({reason}): the numbers "
                "will differ from the book's. For the real data, set COMPANION_DATA to "
                "a folder that holds it.",
                file=sys.stderr,
            )
    return folder


def locate(dataset: str) -> tuple[Path, str]:
    """Return the folder a dataset is read from, and why it is that one."""
    # cmd.exe keeps the quotes, and the blank before "&&", of a variable that is set.
    setting = os.environ.get("COMPANION_DATA", "").strip().strip('"')
    cache = pooch.os_cache("rnn-companion").absolute()
    with _lock:  # of several threads one decides, and the others share its answer
        return _decide(dataset, setting, cache)


@functools.cache  # so that a dead network is tried once; errors are not remembered
def _decide(dataset: str, setting: str, cache: Path) -> tuple[Path, str]:
    if setting == "sample":
        return SAMPLE, "COMPANION_DATA=sample"
    folder = Path(os.path.abspath(os.path.expanduser(setting))) if setting else cache
    missing = []
    for file in _files(dataset):
        fault = _load(folder, file)[1]
        if fault and setting:
            raise DatasetError(
                f"COMPANION_DATA is {setting!r}, but {folder / file} {fault}. Put the "
                "original there, or unset COMPANION_DATA to have it downloaded."
            )
        if fault == "is missing":
            missing.append(file)
        elif fault:
            raise DatasetError(
                f"{folder / file}, in the download cache, {fault}. Delete it and run "
                "again to have it downloaded anew."
            )
    if setting:
        reason = "COMPANION_DATA names a folder with both datasets, checksums verified"
        return folder, reason
    if not missing:
        return cache, "cache"
    try:
        _download(dataset, missing, cache)
    except NothingArrivedError as error:
        return SAMPLE, str(error)
    except DamagedError as error:
        raise DatasetError(
            f"What arrived from {URLS[dataset]} is damaged or incomplete ({error})."
            " Nothing of it was kept. Try again, or set COMPANION_DATA to a folder "
            f"that holds {dataset}."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"The download cache {cache} cannot be written to ({error}). Set "
            f"COMPANION_DATA to a folder that holds {dataset}, or XDG_CACHE_HOME to a "
            "folder that can be written to."
        ) from error
    return cache, "download"


def _download(dataset: str, missing: list[str], cache: Path) -> None:
    """Fetch a dataset and move the files that the cache is missing into it.

    Checked in memory and written in a scratch folder on the cache's file system, each
    is moved at once: neither an interruption nor another process can damage it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=cache) as scratch:
        accept = functools.partial(_accept, dataset)
        contents = fetch(URLS[dataset], LIMITS[dataset], accept)
        for file in missing:
            place = Path(scratch, file)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(contents[file])
            (cache / file).parent.mkdir(exist_ok=True)
            os.replace(place, cache / file)


def _accept(dataset: str, content: bytes) -> dict[str, bytes]:
    """Return the files of a download; ValueError if it, or one, is not as it was."""
    if dataset == NAMES and hashlib.sha256(content).hexdigest() != ARCHIVE:
        raise ValueError("the zip has the wrong SHA-256 checksum")
    contents = {TEXT: content} if dataset == TEXT else unpack(content, _files(NAMES))
    for file, found in contents.items():
        if _intact(found, file) is None:
            raise ValueError(f"{file} has the wrong SHA-256 checksum")
    return contents
