"""The address of the published book, the wheel and the notebooks among the pages."""

import importlib.util
import json
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
from sphinx.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location(
    "publishing", ROOT / "book" / "_ext" / "publishing.py"
)
publishing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(publishing)

PUBLIC = "https://github.com/owner/name"
CHAPTER = ROOT / "book" / "01_one_hot.ipynb"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_an_address_is_read(end):
    where = publishing.address(PUBLIC + end)
    assert where == ("owner", "name")
    assert where.repository == PUBLIC
    assert where.pages == "https://owner.github.io/name/"


def test_pages_of_a_repository_that_is_named_after_its_owner():
    where = publishing.address("https://github.com/Owner/owner.github.io")
    assert where.pages == "https://owner.github.io/"


def test_the_variable_comes_first(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", PUBLIC)
    assert publishing.address("").name == "name"
    assert publishing.address("https://github.com/other/book").owner == "owner"


@pytest.mark.parametrize(
    "wrong", ["owner/name", "https://example.org/owner/name", PUBLIC + "/tree/main"]
)
def test_another_address_is_refused(wrong):
    with pytest.raises(ConfigError, match=rf"{re.escape(wrong)}.*accepted"):
        publishing.address(wrong)


def test_without_an_address_no_line_names_one():
    assert publishing.address("") is None
    assert publishing.install_line(None) == 'pip install ".[chapters]"'
    cell = publishing.with_install(CHAPTER, None).cells[1]
    assert "http" not in cell.source
    assert publishing.wheel_name() in cell.source


def test_the_links_to_colab_and_binder_name_the_notebook():
    where = publishing.address(PUBLIC)
    assert where.colab("notebooks/a.ipynb") == (
        "https://colab.research.google.com/github/owner/name/blob/gh-pages/notebooks/a.ipynb"
    )
    assert where.binder("a.ipynb") == (
        "https://mybinder.org/v2/gh/owner/name/main?labpath=book%2Fa.ipynb"
    )


def test_a_published_notebook_differs_in_its_first_cell_only():
    before = CHAPTER.read_bytes()
    copy = publishing.with_install(CHAPTER, publishing.address(PUBLIC))
    line = '%pip install "rnn-companion[chapters] @ https://owner.github.io/name/rnn_'
    assert line in copy.cells[1].source
    first_code = next(c for c in copy.cells if c.cell_type == "code")
    assert first_code is copy.cells[1]
    nbformat.validate(copy)
    del copy.cells[1]
    assert json.loads(nbformat.writes(copy))["cells"] == json.loads(before)["cells"]
    assert CHAPTER.read_bytes() == before


def test_the_wheel_holds_the_companion_and_what_it_reads(tmp_path):
    wheel = publishing.build_wheel(tmp_path)
    assert wheel.name == publishing.wheel_name()
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "companion"
    files = {
        f"companion/{file.relative_to(source).as_posix()}"
        for file in source.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert files <= names
    assert {name.split("/")[0] for name in names - files} == {
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    }
