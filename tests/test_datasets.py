"""Where the data comes from, tried with made-up files and a server that misbehaves."""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest

from companion import datasets
from companion.datasets import DatasetError
from companion.support import download, files
from companion.support.files import NAMES, TEXT

STORY = "The Time Traveller (for so it will be convenient to speak of him) …\n" * 90
ROWS = {  # a non-breaking blank, a line separator, a carriage return, an empty row
    "Arabic": ["Khoury", "Khoury", " Nahas "],
    "Czech": ["Nov\xa0ak", "Ježek\r", "x\u2028y", "", "Zima", ""],
    "Irish": ["Ó Briain"],
}
FILES = {TEXT: STORY.encode()} | {
    f"names/{language}.txt": ("\n".join(rows) + "\n").encode()
    for language, rows in ROWS.items()
}
FILES["names/Irish.txt"] = FILES["names/Irish.txt"].removesuffix(b"\n")
SAMPLE = {file: f"sample of {file}\n".encode() for file in FILES}
CHECKSUMS = {file: hashlib.sha256(data).hexdigest() for file, data in FILES.items()}
READ = {TEXT: datasets.time_machine, NAMES: datasets.names}
REAL = {TEXT: STORY, NAMES: ROWS}


def write(folder, files):
    for file, data in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    return folder


def listing(folder):
    """Map all that lies in a folder, hidden files and empty folders too, to bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def files_of(dataset):
    return {file: data for file, data in FILES.items() if file.startswith(dataset)}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/eng-fra.txt", "Go.\tVa !\n")
        for file, data in files.items():
            archive.writestr(f"data/{file}", data)
    return buffer.getvalue()


BODY = {TEXT: FILES[TEXT], NAMES: zipped(files_of(NAMES))}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# What the server may do with a request ------------------------------------------------


def answer(body, status=200, length=None):
    def reply(request):
        request.send_response(status)
        request.send_header("Content-Length", len(body) if length is None else length)
        request.end_headers()
        request.wfile.write(body)

    reply.body = body
    return reply


def status(code):
    return answer(b"sorry", code)


def cut(body):
    return answer(body[: len(body) // 2], length=len(body))


def cut_before_first_byte(body):
    return answer(b"", length=len(body))


def cut_chunks(body):
    def reply(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s" % (len(body), body[: len(body) // 2]))

    return reply


def stall(body):
    def reply(request):
        cut(body)(request)
        say_nothing(request)

    return reply


def trickle(request):
    """Send a byte now and then: no single wait is long."""
    cut(b"x" * 5000)(request)
    while not request.server.over.wait(0.05):
        try:
            request.wfile.write(b"x")
        except OSError:
            return


def endless(request):
    """Send more and more, without ever telling a length."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while not request.server.over.is_set():
            request.wfile.write(b"x" * 2**16)


def say_nothing(request):
    request.server.over.wait(3)  # longer than any client of these tests waits


def hang_up(request):
    """Close the connection before the first byte of an answer."""


def unused_address():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}/"


def send_elsewhere(request):
    request.send_response(302)
    request.send_header("Location", unused_address())
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Cut the module off from the machine's own data and cache.

    As each test has a cache folder of its own, none meets a decision of another.
    """
    caches = tmp_path / "caches"
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: caches / project)
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(files, "_noticed", set())
    return caches / "rnn-companion"


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Put the made-up files in the place of the book's."""
    monkeypatch.setattr(files, "CHECKSUMS", CHECKSUMS)
    monkeypatch.setattr(files, "SAMPLE", write(tmp_path / "sample", SAMPLE))


@pytest.fixture
def web(made_up, monkeypatch):
    """Serve on 127.0.0.1; the last of the replies to a dataset is repeated.

    A test fills `replies`; `asked` lists the datasets asked for.
    """

    class Handler(BaseHTTPRequestHandler):
        """Replies as the test has set it, one connection a request."""

        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.close_connection = True
            dataset = self.path[1:]
            server.asked.append(dataset)
            replies = server.replies[dataset]
            (replies.pop(0) if len(replies) > 1 else replies[0])(self)

        def log_message(self, *args):
            """Keep stderr for the code under test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.over = [], threading.Event()
    server.replies = defaultdict(list, {d: [answer(b)] for d, b in BODY.items()})
    server.urls = {d: f"http://127.0.0.1:{server.server_port}/{d}" for d in BODY}
    monkeypatch.setattr(files, "URLS", server.urls)
    monkeypatch.setattr(files, "ARCHIVE", sha256(BODY[NAMES]))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


# A good download ----------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [TEXT, NAMES])
def test_download_lands_in_the_cache_and_is_not_repeated(web, cache, dataset, capfd):
    assert READ[dataset]() == REAL[dataset]
    assert {f: d for f, d in listing(cache).items() if d} == files_of(dataset)
    files._decide.cache_clear()  # as in the next process
    assert READ[dataset]() == REAL[dataset]
    assert web.asked == [dataset]
    assert capfd.readouterr() == ("", "")


def test_rows_are_exactly_those_of_the_file_and_languages_are_sorted(web):
    assert datasets.names() == ROWS
    assert list(datasets.names()) == sorted(ROWS)


def test_path_is_that_of_the_checked_file(web, cache):
    assert datasets.time_machine_path() == cache / TEXT
    assert datasets.time_machine_path().read_bytes() == FILES[TEXT]


def test_path_is_absolute(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pooch, "os_cache", Path)
    assert datasets.time_machine_path() == tmp_path / "rnn-companion" / TEXT


def test_names_cannot_be_changed_from_outside(web):
    datasets.names()["Irish"].clear()
    assert datasets.names() == ROWS


@pytest.mark.parametrize("dataset", [TEXT, NAMES])
@pytest.mark.parametrize(
    "failure", [status(503), hang_up, cut(b"x" * 5000)], ids=["503", "hang-up", "cut"]
)
def test_retry_succeeds(web, dataset, failure):
    web.replies[dataset] = [failure, failure, answer(BODY[dataset])]
    assert READ[dataset]() == REAL[dataset]
    assert web.asked == [dataset] * 3


def test_retry_after_wrong_checksum(web):
    web.replies[TEXT] = [answer(b"not the book"), answer(BODY[TEXT])]
    assert datasets.time_machine() == STORY


def test_missing_language_is_added_and_the_others_are_left_alone(web, cache):
    write(cache, files_of(NAMES))
    (cache / "names/Czech.txt").unlink()
    before = {path: path.stat() for path in cache.rglob("*.txt")}
    assert datasets.names() == ROWS
    assert {path: path.stat() for path in before} == before


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bar_is_for_terminals(web, monkeypatch, terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    datasets.time_machine()
    assert ("100%|" in stderr.getvalue()) is terminal
    assert bool(stderr.getvalue()) is terminal


# What arrives is wrong ----------------------------------------------------------------


TAMPERED = {**files_of(NAMES), "names/Czech.txt": b"Zima\n"}
TRIMMED = {f: d for f, d in files_of(NAMES).items() if f != "names/Czech.txt"}
BAD_BLOCK = bytearray(BODY[NAMES])
BAD_BLOCK[BODY[NAMES].find(b"Czech.txt") + 9] ^= 0xFF  # the first byte of its content


@pytest.mark.parametrize(
    ("dataset", "reply", "named"),
    [
        (TEXT, cut(BODY[TEXT]), TEXT),
        (TEXT, cut_before_first_byte(BODY[TEXT]), TEXT),
        (TEXT, cut_chunks(BODY[TEXT]), TEXT),
        (TEXT, stall(BODY[TEXT]), TEXT),
        (NAMES, stall(BODY[NAMES]), NAMES),
        (TEXT, answer(b""), TEXT),
        (TEXT, answer(BODY[TEXT] + b"\n"), TEXT),
        (TEXT, answer(b"choose one", 300), TEXT),
        (NAMES, cut(BODY[NAMES]), NAMES),
        (NAMES, answer(BODY[NAMES][:-40]), "zip"),
        (NAMES, answer(b"<html>Log in to this network</html>"), "zip"),
        (NAMES, answer(bytes(BAD_BLOCK)), "zip"),
        (NAMES, answer(zipped(TAMPERED)), "the zip has the wrong SHA-256"),
        (NAMES, answer(zipped(TRIMMED)), "names/Czech.txt"),
        (NAMES, answer(zipped(TAMPERED)), "names/Czech.txt"),
    ],
    ids=[
        "cut",
        "cut before the first byte",
        "cut chunks",
        "stall",
        "stalled zip",
        "empty",
        "wrong checksum",
        "neither success nor failure",
        "cut zip",
        "end of zip lost",
        "no zip",
        "damaged zip",
        "another zip",
        "language missing",
        "language tampered with",
    ],
)
def test_damage_is_an_error_and_leaves_the_cache_as_it_was(
    web, cache, monkeypatch, capsys, dataset, reply, named
):
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "RETRIES", 0)
    web.replies[dataset] = [reply]
    if named == "names/Czech.txt":  # even if the zip as a whole passed
        monkeypatch.setattr(files, "ARCHIVE", sha256(reply.body))
    kept = files_of(TEXT if dataset == NAMES else NAMES)
    before = listing(write(cache, kept))
    with pytest.raises(DatasetError, match="damaged or incomplete") as caught:
        READ[dataset]()
    assert named in str(caught.value)
    assert web.urls[dataset] in str(caught.value)
    assert "set COMPANION_DATA" in str(caught.value)
    assert listing(cache) == before
    assert capsys.readouterr() == ("", "")


def test_a_cut_body_is_an_error_even_if_the_retries_get_no_answer(web):
    web.replies[TEXT] = [cut(BODY[TEXT]), status(503), hang_up]
    with pytest.raises(DatasetError, match="damaged or incomplete"):
        datasets.time_machine()


def test_an_error_is_not_remembered(web):
    web.replies[TEXT] = [answer(b"not the book")]
    with pytest.raises(DatasetError):
        datasets.time_machine()
    web.replies[TEXT] = [answer(BODY[TEXT])]
    assert datasets.time_machine() == STORY


def test_a_download_has_one_limit_of_time(web, monkeypatch, capsys):
    monkeypatch.setattr(download, "PATIENCE", 0.5)
    web.replies[TEXT] = [trickle]
    began = time.monotonic()
    with pytest.raises(DatasetError, match=r"incomplete \(not complete after 0.5 s\)"):
        datasets.time_machine()
    assert time.monotonic() - began < 3
    assert capsys.readouterr() == ("", "")


def test_retries_have_no_time_of_their_own(web, monkeypatch, capsys):
    monkeypatch.setattr(download, "RETRIES", 10**9)
    monkeypatch.setattr(download, "PATIENCE", 0.5)
    web.replies[TEXT] = [hang_up]
    assert datasets.time_machine() == SAMPLE[TEXT].decode()
    assert "no network: not complete after 0.5 s at" in capsys.readouterr().err


def test_silence_is_not_waited_for_twice(web, monkeypatch, capsys):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    web.replies[TEXT] = [say_nothing]
    assert datasets.time_machine() == SAMPLE[TEXT].decode()
    assert "no network: ReadTimeout" in capsys.readouterr().err
    assert web.asked == [TEXT]


def test_what_is_waited_for_is_said_while_waiting(web, monkeypatch, capsys):
    monkeypatch.setattr(download, "SILENCE", 0.1)
    monkeypatch.setattr(download, "PATIENCE", 0.4)
    web.replies[TEXT] = [trickle]
    with pytest.raises(DatasetError):
        datasets.time_machine()
    said = f"companion: waiting for {web.urls[TEXT]} (at most 0.4 s, 1,048,576 bytes)\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("dataset", [TEXT, NAMES])
@pytest.mark.parametrize(
    "reply", [answer(b"", length=10**9), endless], ids=["announced", "endless"]
)
def test_a_download_beyond_its_limit_is_refused_at_once(web, cache, dataset, reply):
    web.replies[dataset] = [reply]
    said = rf"incomplete \(over {files.LIMITS[dataset]:,} bytes\)"
    with pytest.raises(DatasetError, match=said):
        READ[dataset]()
    assert web.asked == [dataset]  # nor is it asked for again
    assert listing(cache) == {}


def test_a_file_of_the_zip_expands_no_further_than_its_limit(web, monkeypatch):
    monkeypatch.setattr(download, "MEMBER", 1000)
    bomb = zipped({**files_of(NAMES), "names/Czech.txt": bytes(10**7)})
    found = download.unpack(bomb, [*files_of(NAMES)])
    assert found["names/Czech.txt"] == bytes(1000)
    assert found["names/Irish.txt"] == FILES["names/Irish.txt"]
    web.replies[NAMES] = [answer(bomb)]
    monkeypatch.setattr(files, "ARCHIVE", sha256(bomb))
    with pytest.raises(DatasetError, match=r"names/Czech.txt has the wrong SHA-256"):
        datasets.names()


@pytest.mark.parametrize("file", FILES)
def test_damage_in_the_cache_is_an_error_and_not_deleted(web, cache, file):
    before = listing(write(cache, {**FILES, file: b"damaged"}))
    with pytest.raises(DatasetError, match="Delete it") as caught:
        READ[file.split("/")[0]]()
    assert str(cache / file) in str(caught.value)
    assert listing(cache) == before
    assert web.asked == []


@pytest.mark.parametrize(
    ("dataset", "place"),
    [(TEXT, ".."), (TEXT, "."), (NAMES, ".."), (NAMES, "."), (NAMES, "names")],
)
def test_unwritable_cache(web, cache, dataset, place):
    blocked = Path(os.path.normpath(cache / place))
    write(blocked.parent, {blocked.name: b"a plain file where a folder should be"})
    with pytest.raises(DatasetError, match="cannot be written to") as caught:
        READ[dataset]()
    assert str(cache) in str(caught.value)
    assert "COMPANION_DATA" in str(caught.value)
    assert "XDG_CACHE_HOME" in str(caught.value)


def test_interrupted_between_two_files(web, cache, monkeypatch):
    def replace(source, target, moved=[]):  # noqa: B006
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            datasets.names()
    left = {file: data for file, data in listing(cache).items() if data}
    assert left.items() < FILES.items()
    assert datasets.names() == ROWS


# Nothing arrives ----------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [TEXT, NAMES])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (status(404), "HTTP 404"),
        (status(500), "HTTP 500"),
        (say_nothing, "no network: ReadTimeout"),
        (hang_up, "no network: ConnectionError"),
        (send_elsewhere, "no network: ConnectionError"),
        (None, "no network: ConnectionError"),
    ],
    ids=["404", "500", "timeout", "hang-up", "redirect to refused", "refused"],
)
def test_sample_with_a_notice_of_one_line_printed_once(
    web, cache, monkeypatch, capsys, dataset, reply, reason
):
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "RETRIES", 0)
    web.replies[dataset] = [reply]
    if reply is None:
        monkeypatch.setitem(files.URLS, dataset, unused_address())
    sample = {
        TEXT: SAMPLE[TEXT].decode(),
        NAMES: {language: [f"sample of names/{language}.txt"] for language in ROWS},
    }
    assert READ[dataset]() == sample[dataset]
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"companion: {dataset} is the bundled sample.*\n", err)
    assert reason in err
    assert "differ from the book's" in err
    assert "set COMPANION_DATA" in err
    assert listing(cache) == {}
    assert READ[dataset]() == sample[dataset]
    assert capsys.readouterr() == ("", "")
    assert web.asked == ([] if reply is None else [dataset])


def test_name_that_is_not_resolved(web, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setitem(files.URLS, TEXT, "http://books.invalid/timemachine.txt")
    assert datasets.time_machine() == SAMPLE[TEXT].decode()
    assert "no network: ConnectionError at http://books.inv" in capsys.readouterr().err


def test_each_dataset_has_its_own_notice(made_up, monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    for read in (datasets.time_machine, datasets.names, datasets.time_machine_path):
        read()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == [TEXT, NAMES]
    assert all("(COMPANION_DATA=sample)" in line for line in lines)


# COMPANION_DATA -----------------------------------------------------------------------


@pytest.fixture
def folder(web, tmp_path, monkeypatch):
    """Set COMPANION_DATA to a folder with both datasets."""
    folder = write(tmp_path / "data", FILES)
    monkeypatch.setenv("COMPANION_DATA", str(folder))
    return folder


def test_named_folder(folder, web, cache, capsys):
    write(cache, {TEXT: b"not looked at"})
    assert datasets.time_machine() == STORY
    assert datasets.names() == ROWS
    assert datasets.time_machine_path() == folder / TEXT
    assert web.asked == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("change", ["removed", "one byte changed", "folder missing"])
@pytest.mark.parametrize("file", FILES)
def test_fault_in_the_named_folder(folder, web, cache, capsys, change, file):
    write(cache, FILES)  # neither this nor the server may be turned to
    if change == "removed":
        (folder / file).unlink()
    elif change == "one byte changed":
        (folder / file).write_bytes(b"X" + FILES[file][1:])
    else:
        folder.rename(folder.with_name("elsewhere"))
    first = file if change != "folder missing" else min(files_of(file.split("/")[0]))
    with pytest.raises(DatasetError, match="unset COMPANION_DATA") as caught:
        READ[file.split("/")[0]]()
    assert str(folder / first) in str(caught.value)
    fault = "checksum" if change == "one byte changed" else "is missing"
    assert fault in str(caught.value)
    assert web.asked == []
    assert capsys.readouterr() == ("", "")


def test_unreadable_file(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError, match=r"cannot be read .*Permission denied"):
        datasets.time_machine()


CHANGES = {
    "removed": lambda path: path.unlink(),
    "changed": lambda path: path.write_bytes(b"X" + path.read_bytes()[1:]),
    "bad bytes": lambda path: path.write_bytes(b"\xff\xfe"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", FILES)
def test_a_file_is_checked_whenever_it_is_read(folder, file, change):
    read = READ[file.split("/")[0]]
    read()
    CHANGES[change](folder / file)
    for ask in (read, read, *([datasets.time_machine_path] if file == TEXT else [])):
        with pytest.raises(DatasetError, match="unset COMPANION_DATA") as caught:
            ask()
        assert str(folder / file) in str(caught.value)
    (folder / file).rmdir() if change == "a folder" else None
    write(folder, {file: FILES[file]})
    assert read() == REAL[file.split("/")[0]]


@pytest.mark.parametrize("file", FILES)
def test_what_vanished_from_the_cache_is_fetched_again(web, cache, file):
    dataset = file.split("/")[0]
    READ[dataset]()
    (cache / file).unlink()
    assert READ[dataset]() == REAL[dataset]
    assert web.asked == [dataset] * 2
    (cache / file).write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="Delete it and run again"):
        READ[dataset]()


@pytest.mark.parametrize("change", ["removed", "bad bytes"])
@pytest.mark.parametrize("file", FILES)
def test_a_fault_in_the_sample_is_an_error(made_up, monkeypatch, file, change):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    CHANGES[change](files.SAMPLE / file)
    with pytest.raises(DatasetError, match="part of the package: install") as caught:
        READ[file.split("/")[0]]()
    assert str(files.SAMPLE / file) in str(caught.value)


# Windows


def with_crlf(files):
    return {file: data.replace(b"\n", b"\r\n") for file, data in files.items()}


def test_copies_with_the_line_ends_of_windows_are_the_same_text(folder):
    write(folder, with_crlf(FILES))
    assert datasets.time_machine() == STORY
    assert datasets.names() == ROWS  # with the stray "\r" that is in the original
    assert datasets.time_machine_path().read_text(encoding="utf-8") == STORY


def test_the_sample_may_have_the_line_ends_of_windows(made_up, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    write(files.SAMPLE, with_crlf(SAMPLE))
    assert datasets.time_machine() == SAMPLE[TEXT].decode()
    assert datasets.names()["Irish"] == ["sample of names/Irish.txt"]


@pytest.mark.parametrize("form", ['"{}"', "{} ", ' "{}" '])
def test_quotes_and_blanks_around_the_setting_are_no_part_of_it(
    folder, monkeypatch, form
):
    monkeypatch.setenv("COMPANION_DATA", form.format(folder))
    assert datasets.time_machine_path() == folder / TEXT
    monkeypatch.setenv("COMPANION_DATA", form.format("sample"))
    assert datasets.time_machine() == SAMPLE[TEXT].decode()


def test_git_keeps_the_line_ends_of_every_text_file():
    root = Path(__file__).parents[1]
    if not (shutil.which("git") and (root / ".git").exists()):
        pytest.skip("needs git, and a clone")
    texts = ["companion/data/sample/timemachine.txt", "companion/data/SHA256SUMS"]
    command = ["git", "check-attr", "eol", "--", *texts]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [f"{file}: eol: lf" for file in texts]


def test_home_folder_is_expanded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    monkeypatch.setenv("COMPANION_DATA", str(Path("~", folder.name)))
    assert datasets.time_machine_path() == folder / TEXT


def test_relative_folder_is_remembered_across_a_change_of_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("COMPANION_DATA", folder.name)
    datasets.time_machine()
    monkeypatch.chdir(folder)
    assert datasets.time_machine() == STORY


def test_empty_setting_counts_as_none(folder, web, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "")
    datasets.time_machine()
    assert web.asked == [TEXT]


def test_sample_on_purpose(folder, web, cache, monkeypatch, capsys):
    write(cache, FILES)
    monkeypatch.setenv("COMPANION_DATA", "sample")
    assert datasets.time_machine() == SAMPLE[TEXT].decode()
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("COMPANION_DATA", str(folder))  # decided anew
    assert datasets.time_machine() == STORY
    assert web.asked == []


# origin -------------------------------------------------------------------------------


def test_origin_of_real_data(folder, web, monkeypatch):
    reason = "COMPANION_DATA names a folder with both datasets, checksums verified"
    assert datasets.origin() == ("real", reason)
    monkeypatch.delenv("COMPANION_DATA")
    assert datasets.origin() == ("real", "download")
    files._decide.cache_clear()
    assert datasets.origin() == ("real", "cache")
    assert sorted(web.asked) == [NAMES, TEXT]


@pytest.mark.parametrize("dataset", [TEXT, NAMES])
def test_origin_is_the_sample_if_one_dataset_is(web, cache, capsys, dataset):
    write(cache, FILES if dataset == TEXT else files_of(TEXT))
    if dataset == TEXT:
        (cache / TEXT).unlink()
    web.replies[dataset] = [status(404)]
    mode, reason = datasets.origin()
    why = {d: "cache" for d in READ} | {dataset: f"HTTP 404 from {web.urls[dataset]}"}
    assert mode == "sample"
    assert reason == f"{TEXT}: {why[TEXT]}; {NAMES}: {why[NAMES]}"
    assert capsys.readouterr() == ("", "")
    READ[dataset]()
    assert capsys.readouterr().err.count("\n") == 1


def test_origin_of_the_sample_on_purpose(made_up, monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    assert datasets.origin() == ("sample", "COMPANION_DATA=sample")
    assert capsys.readouterr() == ("", "")


# Several at once, other locales -------------------------------------------------------


CHILD = """
import json, pathlib, sys, pooch
from companion import datasets
from companion.support import files
cache, files.CHECKSUMS, files.URLS, files.ARCHIVE = json.loads(sys.argv[1])
pooch.os_cache = lambda project: pathlib.Path(cache)
print(ascii([datasets.time_machine(), datasets.names()]))
"""


def child(cache, urls, **environment):
    """Start another Python that prints both datasets, in ASCII."""
    given = str(cache), CHECKSUMS, urls, files.ARCHIVE
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            CHILD,
            json.dumps(given),
        ],
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_download_at_once(web, cache):
    together = threading.Barrier(2)
    for dataset, body in BODY.items():

        def reply(request, body=body):
            together.wait(timeout=9)  # for the other process to ask as well
            answer(body)(request)

        web.replies[dataset] = [reply]
    children = [child(cache, web.urls), child(cache, web.urls)]
    for process in children:
        assert process.communicate() == (ascii([STORY, ROWS]) + "\n", "")
    assert sorted(web.asked) == [NAMES, NAMES, TEXT, TEXT]
    assert {f: d for f, d in listing(cache).items() if d} == FILES


def test_another_process_is_quicker(web, cache):
    def reply(request):
        write(cache, files_of(NAMES))
        answer(BODY[NAMES])(request)

    web.replies[NAMES] = [reply]
    assert datasets.names() == ROWS


def test_threads_share_one_download_and_one_notice(web, capsys):
    web.replies[NAMES] = [status(404)]
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(READ[d]) for d in [TEXT, NAMES] * 4]
    assert [call.result() for call in calls[::2]] == [STORY] * 4
    assert sorted(web.asked) == [NAMES] * 3 + [TEXT]
    assert capsys.readouterr().err.count("\n") == 1


def test_utf8_whatever_the_locale(web, cache):
    write(cache, FILES)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = child(cache, web.urls, **ascii_only)
    assert process.communicate() == (ascii([STORY, ROWS]) + "\n", "")


# What is bundled ----------------------------------------------------------------------


def test_checksums_cover_the_text_and_18_languages():
    assert len(datasets.LANGUAGES) == 18
    assert list(datasets.LANGUAGES) == sorted(set(datasets.LANGUAGES))
    listed = [TEXT, *(f"names/{language}.txt" for language in datasets.LANGUAGES)]
    assert sorted(files.CHECKSUMS) == sorted(listed)
    assert all(re.fullmatch("[0-9a-f]{64}", d) for d in files.CHECKSUMS.values())


def test_bundled_text_serves_the_chapters(monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    text = datasets.time_machine()
    assert len(text) >= 12_000
    assert "time traveller" in text.lower()
    letters_and_blanks = re.sub("[^a-z ]", "", text.lower())[:10_000]
    assert len(set(letters_and_blanks)) == 27


def test_bundled_names_serve_the_chapters(monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    names = datasets.names()
    assert tuple(names) == datasets.LANGUAGES
    assert min(len(set(rows)) for rows in names.values()) >= 60
    assert all(row == row.strip() for rows in names.values() for row in rows)
