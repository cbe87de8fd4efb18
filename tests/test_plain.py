"""Tests of tests/plain.py: what it finds in a notebook, and what it lets pass."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.plain import difference

ROOT = Path(__file__).parents[1]
FIGURE = "<Figure size 640x480 with 1 Axes>"
# The data are said to be real, whatever they are: on the sample nothing is compared.
MAIN = """
import sys
from tests import plain
mode = sys.argv.pop(1)
plain.datasets.origin = lambda: (mode, "so the test says")
raise SystemExit(plain.main())
"""


def stream(text: str, name: str = "stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def shown(text: str):
    return nbformat.v4.new_output("display_data", data={"text/plain": text})


def cell(source: str, *outputs, tags=()):
    metadata = {"tags": list(tags)}
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def run(folder: Path, cells: list, *arguments: str, mode: str = "real"):
    page = folder / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)
    command = [sys.executable, "-c", MAIN, mode, str(page), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory):
    cells = [
        cell("x = 0.125\nprint('loss', x)", stream("loss 0.126\n")),
        cell("x", shown("0.125")),
        cell("print('printed, and not stored')"),
        cell("y = 1\nassert x > y, 'too small'"),
        cell("print('goes on')", stream("goes on\n")),
    ]
    return run(tmp_path_factory.mktemp("bad"), cells)


def test_it_passes_what_a_kernel_would_print_and_display(tmp_path):
    cells = [
        cell("import matplotlib.pyplot as plt\ntotal = 0"),
        cell(
            "for i in range(3):\n    total += i\n    print(i)",
            # a kernel may store one stream in pieces
            stream("0\n1\n"),
            stream("2\n"),
        ),
        cell("print('so')\n{'b': total, 'a': [1]}", shown("{'b': 3, 'a': [1]}")),
        cell("plt.plot([1, 2])\nplt.show()", shown(FIGURE)),
        cell("fig, ax = plt.subplots(1, 2)", shown(FIGURE.replace("1 A", "2 A"))),
        cell("total;"),
        cell("def f():\n    return 1\nimport inspect\nprint(inspect.getsource(f)[:3])"),
        cell("print('on cuda at 0xabcdef12')", stream("on cpu at 0x123456789\n")),
        cell("print(__name__, open('page.ipynb').read(1))", stream("__main__ {\n")),
        cell("import random\nrandom.random()", tags=["nbval-ignore-output"]),
    ]
    cells[2].outputs.append(stream("so\n"))  # nbval compares each kind for itself
    cells[6].outputs.append(stream("def\n"))
    result = run(tmp_path, cells)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 of 10 cells differ" in result.stdout


def test_it_finds_a_wrong_digit_and_shows_both_values(bad_run):
    assert bad_run.returncode == 1
    values = "  stdout:\n  page: loss 0.126\n  here: loss 0.125\n"
    assert f"page.ipynb, In [1]:\n{values}" in bad_run.stdout


def test_it_finds_an_output_that_is_not_stored(bad_run):
    values = "  page: (nothing)\n  here: printed, and not stored\n"
    assert f"page.ipynb, In [3]:\n  stdout:\n{values}" in bad_run.stdout


def test_it_shows_an_exception_with_its_line_and_goes_on(bad_run):
    lines = "  line 2: assert x > y, 'too small'\n  AssertionError: too small\n"
    assert f"page.ipynb, In [4]:\n{lines}" in bad_run.stdout
    assert "3 of 5 cells differ" in bad_run.stdout
    assert "PyTorch" in bad_run.stdout  # what computed it


def test_on_the_sample_only_exceptions_count_and_time_may_be_up(tmp_path):
    cells = [cell("print(1)\nassert not 1", stream("2\n")), cell("print(2)")]
    result = run(tmp_path, cells, "--minutes", "0", mode="sample")
    assert result.returncode == 1
    assert "page.ipynb, In [1]:\n  line 2: assert not 1" in result.stdout
    assert "1 of the first 1 of 2 cells differ" in result.stdout
    cells[0].source = "print(1)"
    result = run(tmp_path, cells, mode="sample")
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_output_of_another_kind_differs():
    assert not difference([stream("1")], [stream("1")])
    assert difference([stream("1")], [shown("1")])
    assert difference([stream("1")], [stream("1", name="stderr")])
    assert difference([shown("1")], [shown("1"), shown("1")])
    assert difference([stream("1\n")], [])
