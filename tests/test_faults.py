"""Faults that a page might come to have, planted in each page: each is seen.

What stands in the notebook's file is seen by the checks of `tests/hygiene.py`; a number
that is not the one that the cell prints, by the comparison that nbval makes too.
"""

import ast
import copy
import re
import subprocess
import sys

import nbformat
import pytest

from companion import datasets
from tests import hygiene
from tests.notebooks import NOTEBOOKS, ROOT, code, mimes, nodes, read

PAGES = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def first(notebook, wanted):
    return next(cell for cell in code(notebook) if wanted(cell))


def remove_a_figure(notebook):
    cell = first(notebook, lambda cell: mimes(cell, "image/"))
    cell["outputs"] = [o for o in cell["outputs"] if not o["data"]]


def empty_a_cell(notebook):
    first(notebook, lambda cell: cell["outputs"])["source"] = ""


def strip_a_count(notebook):
    code(notebook)[-1]["execution_count"] = None


def swap_two_cells(notebook):
    cells = notebook["cells"]
    one, other = (cells.index(cell) for cell in code(notebook)[2:4])
    cells[one], cells[other] = cells[other], cells[one]


def swallow_an_exception(notebook):
    cell = first(notebook, lambda cell: re.search("^assert ", cell["source"], re.M))
    body = cell["source"].replace("\n", "\n    ")
    cell["source"] = f"try:\n    {body}\nexcept AssertionError:\n    pass"


def plant_in_an_assertion(change):
    def spoil(notebook):
        cell, node = next(
            (c, n) for c, n in nodes(notebook) if type(n).__name__ == "Assert"
        )
        whole, said = (
            ast.get_source_segment(cell["source"], part) for part in (node, node.test)
        )
        spoilt = whole.replace(said, change(said), 1)
        cell["source"] = cell["source"].replace(whole, spoilt, 1)

    return spoil


FAULTS = {
    "a removed figure": (remove_a_figure, hygiene.drawn),
    "an emptied cell": (empty_a_cell, hygiene.written_cells),
    "a stripped count": (strip_a_count, hygiene.execution_counts),
    "swapped cells": (swap_two_cells, hygiene.execution_counts),
    "a swallowed exception": (swallow_an_exception, hygiene.handled),
    "an assertion of True": (
        plant_in_an_assertion(lambda said: "True"),
        hygiene.binding,
    ),
    "an assertion with a way out": (
        plant_in_an_assertion(lambda said: f"({said}) or True"),
        hygiene.binding,
    ),
    "an assertion of a thing by itself": (
        plant_in_an_assertion(lambda said: f"({said}) == ({said})"),
        hygiene.binding,
    ),
}


@PAGES
@pytest.mark.parametrize(("spoil", "check"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_page_is_seen(path, spoil, check):
    notebook = copy.deepcopy(read(path))
    assert not list(check(notebook))
    spoil(notebook)
    assert list(check(notebook))


def spoil_a_number(cell):
    """Turn the last digit that a cell printed into another."""
    output = next(o for o in cell.outputs if DIGIT.search(printed(o)))
    holder, key = (
        (output, "text") if output.output_type == "stream" else (output.data, PLAIN)
    )
    holder[key] = LAST.sub(lambda digit: str((int(digit[0]) + 1) % 10), holder[key])


PLAIN = "text/plain"
DIGIT, LAST = re.compile(r"\d"), re.compile(r"\d(?=\D*$)")


def printed(output):
    return output.get("text") or output.get("data", {}).get(PLAIN, "")


@pytest.mark.slow  # runs the beginning of each page
@PAGES
def test_a_changed_number_is_seen(path, tmp_path):
    """The last digit of the first cell that prints any, where the numbers are real."""
    if datasets.origin()[0] != "real":
        pytest.skip("on the sample outputs are not compared")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    numbered = [any(DIGIT.search(printed(o)) for o in cell.outputs) for cell in cells]
    count = numbered.index(True) + 1
    notebook.cells = cells[:count]
    spoil_a_number(cells[count - 1])
    nbformat.write(notebook, tmp_path / path.name)
    run = subprocess.run(
        [sys.executable, "-m", "tests.plain", tmp_path / path.name],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert f"1 of {count} cells differ" in run.stdout, run.stdout + run.stderr
    assert f"In [{count}]:" in run.stdout
    assert run.returncode == 1
