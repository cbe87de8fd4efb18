"""One file from the network, within one limit of time and one of size."""

import io
import sys
import threading
import time
import zipfile
from collections.abc import Callable

import requests
from tqdm import tqdm

#: How often a failed download is tried again; not one that met with silence.
RETRIES = 2
#: Seconds to wait for a connection, and for each next piece of an answer.
TIMEOUT = 10
#: Seconds that a download may take in all, with its retries.
PATIENCE = 120
#: Seconds after which a line on stderr says what is waited for, and for how long.
SILENCE = 2


#: The most bytes that one file of an archive may expand to.
MEMBER = 2**20


class NothingArrivedError(Exception):
    """No answer came, or none but an error; the message is the reason."""


class DamagedError(Exception):
    """What came is not what was asked for; the message says how it differs."""


def fetch(
    url: str, limit: int, accept: Callable[[bytes], dict[str, bytes]]
) -> dict[str, bytes]:
    """Download a file into memory.

    The download runs in a thread of its own, since a name that is not resolved, or a
    server that sends a byte now and then, would hold this one for as long as it liked.

    Args:
        url: The address.
        limit: The most bytes that are taken.
        accept: Makes of what came what is wanted, or raises ``ValueError``.

    Returns:
        What ``accept`` returned.

    Raises:
        NothingArrivedError: If there was no answer, or none but errors.
        DamagedError: If what came was too long, too slow, cut, or not accepted.
    """
    job = _Job(url, limit, accept)
    thread = threading.Thread(target=job.run, daemon=True)
    thread.start()
    thread.join(min(SILENCE, PATIENCE))
    if thread.is_alive() and SILENCE < PATIENCE:
        print(
            f"companion: waiting for {url} (at most {PATIENCE} s, {limit:,} bytes)",
            file=sys.stderr,
        )
        thread.join(max(0, PATIENCE - SILENCE))
    if thread.is_alive():
        job.over = True
        late = f"not complete after {PATIENCE} s"
        raise (
            DamagedError(late)
            if job.came
            else NothingArrivedError(f"no network: {late} at {url}")
        )
    if job.error is not None:
        raise job.error
    return job.result


def unpack(archive: bytes, files: list[str]) -> dict[str, bytes]:
    """Take files out of a zip, where they lie in the folder ``data``.

    Args:
        archive: The zip.
        files: Their names; no other file is looked at.

    Returns:
        Their contents, each cut off after ``MEMBER`` bytes.

    Raises:
        ValueError: If the zip is damaged or has no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            return {file: _member(members, f"data/{file}") for file in files}
    except Exception as error:  # a damaged zip raises a dozen kinds
        raise ValueError(f"the zip: {error}") from error


def _member(members: zipfile.ZipFile, name: str) -> bytes:
    with members.open(name) as member:  # its header may lie about the size
        return member.read(MEMBER)


class _Job:
    """The attempts at one download."""

    def __init__(self, url: str, limit: int, accept: Callable):
        self.url, self.limit, self.accept = url, limit, accept
        self.came = self.over = False  # whether anything came, in any attempt
        self.result = self.error = None

    def run(self) -> None:
        for attempt in range(RETRIES + 1):
            if attempt:
                time.sleep(attempt)
            if self.over:
                return
            try:
                self.result, self.error = self.accept(self._attempt()), None
                return
            except DamagedError as error:  # it would be so again
                self.error = error
                return
            except requests.RequestException as error:
                self.error = self._named(error)
                if isinstance(error, requests.Timeout):  # silent now, silent then
                    return
            except Exception as error:
                self.error = DamagedError(str(error) or type(error).__name__)

    def _named(self, error: requests.RequestException) -> Exception:
        if self.came:
            return DamagedError(str(error))
        if error.response is not None:
            reason = f"HTTP {error.response.status_code} from {self.url}"
            return NothingArrivedError(reason)
        reason = f"no network: {type(error).__name__} at {self.url}"
        return NothingArrivedError(reason)

    def _attempt(self) -> bytes:
        """Return what one request brings."""
        pieces, size = [], 0
        with requests.get(self.url, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            self.came = True
            length = int(answer.headers.get("Content-Length", 0))
            self._check(length)
            quiet = not sys.stderr.isatty()
            with tqdm(total=length, unit="B", unit_scale=True, disable=quiet) as bar:
                for piece in answer.iter_content(2**14):
                    pieces.append(piece)
                    size += len(piece)
                    bar.update(len(piece))
                    self._check(size)
                    if self.over:
                        break
        return b"".join(pieces)

    def _check(self, size: int) -> None:
        if size > self.limit:
            raise DamagedError(f"over {self.limit:,} bytes")
