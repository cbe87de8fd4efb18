"""Every page of the book: its hygiene, its length, its place in the contents."""

import json
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.hygiene import CHECKS
from tests.notebooks import NOTEBOOKS, ROOT, code, figure, markdown, parse, read
from tests.test_hygiene import good


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, check):
    if problems := list(check(read(path))):
        told = [f"{path.name}: {check.__doc__}", *problems]
        pytest.fail("\n".join(told), pytrace=False)


# A page that is finished in an hour ---------------------------------------------------

LIMITS = {"cells": 75, "words of prose": 3500, "lines of code": 400}


def sizes(notebook):
    """Count cells, words outside of formulas and listings, and lines of code."""
    text = "\n".join(cell["source"] for cell in markdown(notebook))
    text = re.sub(r"```(?:python|\{code-cell\}).*?```", "", text, flags=re.S)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " x ", text, flags=re.S)
    lines = [line for cell in code(notebook) for line in cell["source"].splitlines()]
    return {
        "cells": len(notebook["cells"]),
        "words of prose": len(re.findall(r"[A-Za-z0-9][\w'’.-]*", text)),
        "lines of code": sum(bool(line.strip()) for line in lines),
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_is_short(path):
    assert {k: n for k, n in sizes(read(path)).items() if n > LIMITS[k]} == {}


def test_sizes_are_counted_without_formulas_and_listings():
    cells = [
        new_markdown_cell("Two words $x + y$ and\n$$\nz z\n$$\n```python\nno\n```"),
        new_code_cell("one = 1\n\ntwo = 2"),
    ]
    counted = sizes(parse(json.dumps(new_notebook(cells=cells))))
    assert counted == {"cells": 2, "words of prose": 5, "lines of code": 2}


# The book as a whole ------------------------------------------------------------------


def repeated_figures(notebooks):
    """Yield the figure names that the notebooks give more than once."""
    seen = {}
    for file, notebook in notebooks.items():
        for cell in code(notebook):
            name, here = figure(cell).get("name"), f"{file}, {cell['name']}"
            if name in seen:
                yield f"{name}: {seen[name]} and {here}"
            if name:
                seen[name] = here


def test_figure_names_are_unique_over_the_book():
    assert not list(repeated_figures({path.name: read(path) for path in NOTEBOOKS}))


def test_a_repeated_figure_name_is_found():
    notebook = parse(json.dumps(good()))
    assert not list(repeated_figures({"1.ipynb": notebook}))
    (problem,) = repeated_figures({"1.ipynb": notebook, "2.ipynb": notebook})
    assert all(part in problem for part in ("fig-line", "1.ipynb", "2.ipynb", "cell"))


def test_the_table_of_contents_lists_exactly_the_pages_of_the_book():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^[\s-]*(?:root|file): *(\S+)", toc, re.M)
    pages = [*NOTEBOOKS, *(ROOT / "book").glob("*.md")]
    there = [page.relative_to(ROOT).with_suffix("").as_posix() for page in pages]
    named = [re.sub(r"\.(ipynb|md)$", "", page) for page in listed]
    assert set(named) == set(there)


def test_the_tests_that_the_page_of_pitfalls_names_are_there():
    there = {
        (file.name, name)
        for file in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.M)
    }
    page = (ROOT / "book" / "pitfalls.md").read_text("utf-8")
    told = re.findall(r"^- \*\*Tested.*(?:\n  .*)*", page, re.M)
    named = 0
    for line in told:
        files = re.findall(r"`(test_\w+\.py)`", line)
        for name in re.findall(r"`(test_\w+)`", line):
            assert any((file, name) in there for file in files), (name, files)
            named += 1
    assert named > 20
