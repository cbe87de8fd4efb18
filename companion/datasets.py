"""The book's data: The Time Machine, and surnames in 18 languages.

Each dataset comes from the first of these that applies: the folder that the
environment variable ``COMPANION_DATA`` names, the download cache, its public address,
the sample bundled with this package. All but the sample match ``data/SHA256SUMS``.
The sample steps in only where nothing at all could be fetched, or where
``COMPANION_DATA=sample`` asks for it, and says so on stderr; damaged data is an error.
"""

import functools
import importlib.resources
import json
import os
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import pooch
import requests

# A dataset is called what it is called at the top of a data folder.
TEXT, NAMES = "timemachine.txt", "names"

#: Where each dataset is published; the zip holds ``data/names/*.txt``.
URLS = {
    TEXT: "http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
    NAMES: "https://download.pytorch.org/tutorial/data.zip",
}
#: How often a failed download is tried again.
RETRIES = 2
#: Seconds to wait for a connection, and for each next piece of an answer.
TIMEOUT = 10

_BUNDLED = importlib.resources.files("companion") / "data"
_SAMPLE = Path(str(_BUNDLED / "sample"))
_SUMS = (_BUNDLED / "SHA256SUMS").read_text(encoding="ascii").split()

#: SHA-256, in hexadecimal, of each file of a data folder.
CHECKSUMS = dict(zip(_SUMS[1::2], _SUMS[::2], strict=True))
#: The 18 languages of the surnames, sorted.
LANGUAGES = tuple(sorted(Path(f).stem for f in CHECKSUMS if f.startswith("names/")))


class DatasetError(RuntimeError):
    """The data could not be had intact; the message names the file and the remedy."""


def time_machine() -> str:
    """Read The Time Machine.

    Returns:
        The whole text, decoded from UTF-8.

    Raises:
        DatasetError: If the text could not be had intact.
    """
    return time_machine_path().read_bytes().decode("utf-8")


def time_machine_path() -> Path:
    """Find the file that ``time_machine`` reads, for code that wants the file itself.

    Returns:
        The absolute path of the file (UTF-8), its checksum verified unless it is the
        sample's.

    Raises:
        DatasetError: If the text could not be had intact.
    """
    return _folder(TEXT) / TEXT


def names() -> dict[str, list[str]]:
    r"""Read the surnames of each language.

    Returns:
        Language to rows, languages sorted. A row is what stands between two ``"\n"``
        of the file (UTF-8), with all duplicates, stray characters and blanks.

    Raises:
        DatasetError: If the names could not be had intact.
    """
    folder = _folder(NAMES)
    # By way of bytes: text mode would take a stray "\r" for a line end.
    texts = {f: (folder / f).read_bytes().decode("utf-8") for f in _files(NAMES)}
    return {Path(f).stem: t.removesuffix("\n").split("\n") for f, t in texts.items()}


def origin() -> tuple[str, str]:
    """Tell where the data comes from, fetching it if need be.

    Returns:
        The mode, ``"real"`` if both datasets are and ``"sample"`` otherwise, and the
        reason, one line for the header of a test run.

    Raises:
        DatasetError: If a dataset could not be had intact.
    """
    folders, reasons = zip(_locate(TEXT), _locate(NAMES), strict=True)
    mode = "sample" if _SAMPLE in folders else "real"
    if reasons[0] == reasons[1]:
        return mode, reasons[0]
    return mode, f"{TEXT}: {reasons[0]}; {NAMES}: {reasons[1]}"


def record(name: str) -> dict:
    """Return the record of a long experiment, as ``tests.experiments`` wrote it.

    Args:
        name: ``"classic"``, ``"whole_book"``, ``"truncation"``, ``"adding"``,
            ``"layers"``, ``"names"``, ``"names_clean"``, and the others of its folder.

    Returns:
        ``"provenance"`` (command, date, versions, seeds, checksum of the data) and
        ``"results"``, one entry a job.

    Raises:
        ValueError: If there is no record of that name.
    """
    records = _BUNDLED / "records"
    known = sorted(Path(file.name).stem for file in records.iterdir())
    if name not in known:
        raise ValueError(f"name is {name!r}; accepted: {known}")
    return json.loads((records / f"{name}.json").read_text(encoding="utf-8"))


def _files(dataset: str) -> list[str]:
    """List the files of a dataset, relative to a data folder, sorted."""
    return sorted(file for file in CHECKSUMS if file.split("/")[0] == dataset)


def _fault(folder: Path, file: str) -> str | None:
    """Say what is wrong with a file of a data folder, None if it is intact."""
    if not os.path.isfile(folder / file):
        return "is missing"
    try:
        intact = pooch.file_hash(folder / file) == CHECKSUMS[file]
    except OSError as error:
        return f"cannot be read ({error})"
    return None if intact else "has the wrong SHA-256 checksum"


_lock = threading.Lock()
_noticed: set[str] = set()


def _folder(dataset: str) -> Path:
    """Locate the folder of a dataset and say so, once, if it is the sample's."""
    folder, reason = _locate(dataset)
    with _lock:
        if folder == _SAMPLE and dataset not in _noticed:
            _noticed.add(dataset)
            print(
                f"companion: {dataset} is the bundled sample ({reason}): the numbers "
                "will differ from the book's. For the real data, set COMPANION_DATA to "
                "a folder that holds it.",
                file=sys.stderr,
            )
    return folder


def _locate(dataset: str) -> tuple[Path, str]:
    """Return the folder a dataset is read from, and why it is that one."""
    setting = os.environ.get("COMPANION_DATA", "")
    cache = pooch.os_cache("rnn-companion").absolute()
    with _lock:  # of several threads one decides, and the others share its answer
        return _decide(dataset, setting, cache)


@functools.cache  # so that a dead network is tried once; errors are not remembered
def _decide(dataset: str, setting: str, cache: Path) -> tuple[Path, str]:
    if setting == "sample":
        return _SAMPLE, "COMPANION_DATA=sample"
    folder = Path(os.path.abspath(os.path.expanduser(setting))) if setting else cache
    missing = []
    for file in _files(dataset):
        fault = _fault(folder, file)
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
    except requests.RequestException as error:  # nothing arrived
        if error.response is not None:
            return _SAMPLE, f"HTTP {error.response.status_code} from {URLS[dataset]}"
        return _SAMPLE, f"no network: {type(error).__name__} at {URLS[dataset]}"
    except OSError as error:
        raise DatasetError(
            f"The download cache {cache} cannot be written to ({error}). Set "
            f"COMPANION_DATA to a folder that holds {dataset}, or XDG_CACHE_HOME to a "
            "folder that can be written to."
        ) from error
    return cache, "download"


def _download(dataset: str, missing: list[str], cache: Path) -> None:
    """Fetch a dataset and move the files that the cache is missing into it.

    All is fetched and checked in a scratch folder on the file system of the cache, so
    that each move is atomic: neither an interruption nor another process that does the
    same can leave a damaged file. Raises what `requests` raises if nothing arrived.
    """
    file = "names.zip" if dataset == NAMES else dataset
    statuses: list[int] = []
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        timeout=TIMEOUT,
        hooks={"response": lambda answer, **_: statuses.append(answer.status_code)},
    )
    pooch.get_logger().setLevel("WARNING")  # no routine lines
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=cache) as scratch:
        fetcher = pooch.create(
            scratch,
            base_url="",
            registry={file: CHECKSUMS.get(file)},  # None for the zip: not checked here
            urls={file: URLS[dataset]},
            retry_if_failed=RETRIES,
        )
        try:
            fetcher.fetch(file, downloader=downloader)
            if dataset == NAMES:
                _unpack(Path(scratch), file)
        except (requests.RequestException, ValueError) as error:
            came = any(status < 300 for status in statuses)  # in any of the attempts
            if isinstance(error, requests.RequestException) and not came:
                raise
            raise DatasetError(
                f"What arrived from {URLS[dataset]} is damaged or incomplete ({error})."
                " Nothing of it was kept. Try again, or set COMPANION_DATA to a folder "
                f"that holds {dataset}."
            ) from error
        for name in missing:
            (cache / name).parent.mkdir(exist_ok=True)
            os.replace(Path(scratch, name), cache / name)


def _unpack(folder: Path, archive: str) -> None:
    """Unpack the names from a zip in a folder; ValueError if any is not as it was."""
    try:
        with zipfile.ZipFile(folder / archive) as members:
            contents = {file: members.read(f"data/{file}") for file in _files(NAMES)}
    except Exception as error:  # a damaged zip raises a dozen kinds
        raise ValueError(f"{archive}: {error}") from error
    (folder / NAMES).mkdir()
    for file, content in contents.items():
        (folder / file).write_bytes(content)
        if fault := _fault(folder, file):
            raise ValueError(f"{file} {fault}")
