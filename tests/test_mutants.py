"""The checks of the chapters bite: each mistake planted in their own code goes red.

`tests/mutants/STEM.toml` lists mistakes in the code cells of `book/STEM.ipynb`: `what`
was done, `old` text (in exactly one code cell) and the `new` text in its place. The
cells run in order up to the end of the section `until` ("Check it" where the file does
not say), with the mistake in place, and some cell must raise: an output that merely
looks different would pass unseen on the sample.

The unspoiled cells before the mistake run once for a whole chapter; each mistake then
continues in a process of its own, forked at its cell.
"""

import ast
import json
import os
import tomllib
from pathlib import Path

import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "tests" / "mutants").glob("*.toml"))
# Every page whose checks have been gone through so far, and how many mistakes at least
LEAST = 8
SECONDS = 120  # for one mistake; some make a loop that does not end

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="processes are forked, which this system cannot"
)


@pytest.fixture(autouse=True)
def _default_dtype():
    """Put PyTorch's default dtype back, which chapters 2 and 7 set."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def cells(path, until):
    """The code cells of a notebook up to the end of the section `until`."""
    found, code = False, []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            code.append(source)
        elif source.startswith("## ") and found:
            return code
        elif source.startswith("## "):
            found = source.splitlines()[0] == f"## {until}"
    assert found, f"{path.name} has no section {until!r}"
    return code


def place(code, old):
    """The number of the only cell that holds a text."""
    homes = [number for number, source in enumerate(code) if old in source]
    assert len(homes) == 1, f"{old!r} stands in cells {homes}, not in exactly one"
    return homes[0]


def execute(code, scope, first=0):
    """Run cells in a scope as a notebook would; figures are drawn and not shown."""
    import matplotlib.pyplot as plt

    for number, source in enumerate(code, first):
        exec(compile(ast.parse(source), f"<cell {number + 1}>", "exec"), scope)
        plt.close("all")


def survives(code, number, scope):
    """Run the cells from the mistake on in a forked process: did no check see it?"""
    child = os.fork()
    if child == 0:
        verdict = 1
        try:
            import signal

            signal.alarm(SECONDS)  # ends the process: then nothing has raised
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            execute(code[number:], scope, number)
            verdict = 0
        except (SyntaxError, NameError, ImportError):
            verdict = 2  # no mistake of a student: the table is wrong
        except BaseException:
            pass
        finally:
            os._exit(verdict)
    _, status = os.waitpid(child, 0)
    return not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1)


def survivors(path, table):
    """The mistakes of one page's table that no check sees."""
    code = cells(path, table.get("until", "Check it"))
    mutants = sorted(table["mutant"], key=lambda m: place(code, m["old"]))
    scope, done, alive = {"__name__": "__main__"}, 0, []
    for mutant in mutants:
        number = place(code, mutant["old"])
        execute(code[done:number], scope, done)
        done = number
        spoiled = list(code)
        spoiled[number] = code[number].replace(mutant["old"], mutant["new"])
        if survives(spoiled, number, scope):
            alive.append(mutant["what"])
    execute(code[done:], scope, done)  # unspoiled, the page passes to the end
    return alive


@pytest.mark.slow  # ten seconds a page
@pytest.mark.parametrize("table", PAGES, ids=lambda path: path.stem)
def test_each_mistake_in_a_page_turns_it_red(table, monkeypatch):
    monkeypatch.chdir(ROOT / "book")
    mutants = tomllib.loads(table.read_text(encoding="utf-8"))
    assert len(mutants["mutant"]) >= LEAST
    assert survivors(ROOT / "book" / f"{table.stem}.ipynb", mutants) == []


PAGE = {
    "## Build it": [
        "import torch",
        "def double(x):\n    return x + x",
        "def unused(x):\n    return x",
    ],
    "## Check it": ["assert double(torch.ones(1)) == 2"],
    "## Later": ["raise RuntimeError('not reached')"],
}
MISTAKES = {
    "seen": ("x + x", "x"),
    "seen although it is no assertion": ("x + x", "x.nothing"),
    "unseen": ("return x\n", "return -x\n"),
    "not code": ("x + x", "x +"),
    "an unknown name": ("x + x", "y"),
}


def test_unseen_mistakes_and_broken_ones_are_named(tmp_path):
    notebook = new_notebook()
    for heading, sources in PAGE.items():
        notebook.cells.append(new_markdown_cell(heading))
        notebook.cells += [new_code_cell(source + "\n") for source in sources]
    path = tmp_path / "tiny.ipynb"
    path.write_text(json.dumps(notebook))
    mutants = [
        {"what": what, "old": old, "new": new} for what, (old, new) in MISTAKES.items()
    ]
    alive = survivors(path, {"mutant": mutants})
    assert alive == ["not code", "an unknown name", "unseen"]


@pytest.mark.parametrize("old", ["absent", "return"])
def test_a_mistake_has_exactly_one_home(old):
    with pytest.raises(AssertionError, match="not in exactly one"):
        place(PAGE["## Build it"], old)
