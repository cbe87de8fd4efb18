"""The records: read as they were written, or an error that says what to do."""

import json
import re
from datetime import date

import pytest

from companion import records
from companion.datasets import DatasetError
from companion.support import files


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Put two made-up records in the place of the book's."""
    made = {"short": {"results": {"a": 1.5}}, "other": {"provenance": "é"}}
    folder = tmp_path / "records"
    folder.mkdir()
    monkeypatch.setattr(records, "FOLDER", folder)
    for name, content in made.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return made


def test_a_record_is_what_was_written(written):
    for name, content in written.items():
        assert records.load(name) == content


def test_a_record_cannot_be_changed_from_outside(written):
    records.load("short")["results"].clear()
    assert records.load("short") == written["short"]


@pytest.mark.parametrize("name", ["", "shor", "short.json", "../records/short"])
def test_a_record_of_another_name_is_refused(written, name):
    message = re.escape(f"name is {name!r}; accepted: ['other', 'short']")
    with pytest.raises(ValueError, match=message):
        records.load(name)


@pytest.mark.parametrize("content", [b'{"results": ', b"\xff", None])
def test_a_damaged_record_is_an_error(written, content):
    file = records.FOLDER / "short.json"
    file.unlink() if content is None else file.write_bytes(content)
    if content is None:
        file.parent.rename(file.parent.with_name("elsewhere"))
    with pytest.raises(DatasetError, match="part of the package: install"):
        records.load("short")


@pytest.mark.parametrize("name", ["classic", "whole_book", "truncation"])
def test_a_bundled_record_tells_where_it_comes_from(name):
    provenance = records.load(name)["provenance"]
    assert provenance["command"] == f"python -m companion.experiments {name}"
    date.fromisoformat(provenance["date"])
    assert re.match(r"\d+\.\d+\.\d+", provenance["torch"])
    assert re.match(r"3\.\d+\.\d+", provenance["python"])
    assert provenance["seeds"] == ([0, 1, 2] if name == "classic" else [0, 1, 2, 3, 4])
    assert provenance["sha256 of timemachine.txt"] == files.CHECKSUMS[files.TEXT]
