"""The hygiene of the notebooks, proof that each check bites, and that nbval does.

Checks are functions from a notebook to its problems. They run on every chapter and, at
the end of the file, on a flawless notebook and on one that breaks exactly one rule.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from itertools import zip_longest
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))

IGNORE = "nbval-ignore-output"
# Every other tag would leave outputs uncompared or the page with a hole. There is no
# raises-exception: a stored traceback shows paths, and `try` prints the message alone.
TAGS = {IGNORE, "hide-input", "hide-output", "hide-cell"}
# In a web address something stands before the slash, which a path begins with.
FOLDERS = ["root", "home", "work", "tmp", "Users"]
MACHINE = re.compile(
    rf"(?<![\w.~-])/(?:{'|'.join(FOLDERS)})/|\b[A-Z]:\\+Users| at 0x[0-9a-f]"
)
SECTIONS = [
    "You will",
    "Set-up",
    "Check it",
    "What can go wrong",
    "Recap",
    "Exercises",
    "Sources",
]
COLUMNS, LINES, ALT, EXERCISES = 75, 25, 40, 4


# Reading ------------------------------------------------------------------------------


def parse(text):
    """Read a notebook as it stands: nbformat's own reader would mend what we look for.

    Lists of lines become strings, and each cell gets a name for messages.
    """
    notebook = json.loads(text)
    for number, cell in enumerate(notebook["cells"], 1):
        cell["source"] = join(cell["source"])
        first = cell["source"].strip().partition("\n")[0]
        cell["name"] = f"cell {number} ({first[:50]!r})"
        for output in cell.get("outputs", []):
            output["data"] = {k: join(v) for k, v in output.get("data", {}).items()}
            output["text"] = join(output.get("text", ""))
    return notebook


def join(text):
    return "".join(text) if isinstance(text, list) else text


@cache
def read(path):
    return parse(path.read_text(encoding="utf-8"))


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def markdown(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


def written(cell):
    return [line for line in cell["source"].splitlines() if line.strip()]


def tags(cell):
    return cell["metadata"].get("tags", [])


def mimes(cell, start=""):
    data = [mime for output in cell["outputs"] for mime in output["data"]]
    return [mime for mime in data if mime.startswith(start)]


def figure(cell):
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def headings(notebook):
    """Yield the level and the text of each heading, none from inside a fence."""
    for cell in markdown(notebook):
        fence = ""
        for line in cell["source"].splitlines():
            mark = re.match(r" {0,3}(`{3,}|~{3,}|:{3,})(.*)", line)
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            elif not fence and (heading := re.match(r"(#+)\s+(.+)", line)):
                yield len(heading[1]), heading[2]


# The checks: from a notebook to its problems ------------------------------------------


def execution_counts(notebook):
    """Cells were run once, in order: nbval compares no cell that has no count."""
    for count, cell in enumerate(code(notebook), 1):
        if cell["execution_count"] != count:
            yield f"{cell['name']}: run as {cell['execution_count']}, not as {count}"


def semicolons(notebook):
    """No cell hides its last value with a semicolon, which nbval would see again."""
    for cell in code(notebook):
        if written(cell) and written(cell)[-1].rstrip().endswith(";"):
            yield f"{cell['name']}: ends in ';' (end a figure with plt.show())"


def clean_outputs(notebook):
    """No warning, progress bar or traceback is left in the page."""
    for cell in code(notebook):
        for output in cell["outputs"]:
            if output.get("name") == "stderr" or output["output_type"] == "error":
                said = output["text"] or output.get("evalue", "")
                yield f"{cell['name']}: stderr or an error: {said.strip()[:80]!r}"


def machine(notebook):
    """Nothing names a folder of the machine or an address in its memory."""
    for cell in notebook["cells"]:
        texts = [cell["source"]]
        for output in cell.get("outputs", []):
            data = {k: v for k, v in output["data"].items() if k[:6] != "image/"}
            texts.append(json.dumps(output | {"data": data}, ensure_ascii=False))
        for found in MACHINE.finditer("\n".join(texts)):
            yield f"{cell['name']}: {found[0]!r}"


def placeholders(notebook):
    """No number is left to be filled in."""
    for cell in notebook["cells"]:
        for found in re.findall(r"@@\w*@@|\b(?:TODO|FIXME)\b", cell["source"]):
            yield f"{cell['name']}: {found!r}"


def known_tags(notebook):
    """Tags are of the few kinds the book has a use for, and nbval's comments count."""
    for cell in notebook["cells"]:
        marks = re.findall(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE\w+)", cell["source"])
        for tag in [*(set(tags(cell)) - TAGS), *marks]:
            yield f"{cell['name']}: {tag} (allowed: {', '.join(sorted(TAGS))})"


def asserted(notebook):
    """Where an output cannot be compared, the next cell asserts what matters in it."""
    cells = code(notebook)
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if IGNORE in tags(cell) and (
            following is None
            or IGNORE in tags(following)
            or not re.search(r"^\s*assert\b", following["source"], re.M)
        ):
            yield f"{cell['name']}: no compared cell with an assert follows"


def described_images(notebook):
    """Each figure has a caption, a name to refer to, and a text for who cannot see."""
    for cell in code(notebook):
        if mimes(cell, "image/"):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            for what in ("caption", "name"):
                if not figure(cell).get(what, "").strip():
                    yield f"{cell['name']}: no mystnb figure {what}"
            if len(alt.strip()) < ALT:
                yield f"{cell['name']}: alternative text below {ALT} letters: {alt!r}"


def one_image_a_cell(notebook):
    """A caption and a name stand for one figure; a second would take them again."""
    for cell in code(notebook):
        if len(mimes(cell, "image/")) > 1:
            yield f"{cell['name']}: {len(mimes(cell, 'image/'))} images"


def png(notebook):
    """Images are PNG: nbval compares SVG, whose identifiers change with each run."""
    for cell in code(notebook):
        for mime in set(mimes(cell, "image/")) - {"image/png"}:
            yield f"{cell['name']}: {mime}"


def no_widgets(notebook):
    """No widget state, for which the page would fetch scripts from another host."""
    if "widgets" in notebook["metadata"]:
        yield "metadata of the notebook: widgets"
    for cell in code(notebook):
        for mime in mimes(cell, "application/vnd.jupyter.widget"):
            yield f"{cell['name']}: {mime}"


def narrow_code(notebook):
    """Code fits the column of text, where a longer line would have to be scrolled."""
    for cell in code(notebook):
        for line in written(cell):
            if len(line) > COLUMNS:
                yield f"{cell['name']}: {len(line)} columns, over {COLUMNS}: {line!r}"


def short_cells(notebook):
    """A cell is one idea."""
    for cell in code(notebook):
        if len(written(cell)) > LINES:
            yield f"{cell['name']}: {len(written(cell))} lines, over {LINES}"


def introduced(notebook):
    """A sentence stands before each cell of code, or before the one that it follows."""
    silent = 2
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            silent += 1
            if silent > 2:
                yield f"{cell['name']}: no text since the code before it"
        elif cell["cell_type"] == "markdown":
            silent = 0


def sections(notebook):
    """A chapter has one title, and the sections that every chapter has, in order."""
    titles = [text for level, text in headings(notebook) if level == 1]
    top = r"(\([\w-]+\)=\n)?# "  # a label may stand above it
    if len(titles) != 1 or not re.match(top, notebook["cells"][0]["source"]):
        yield f"{len(titles)} titles, or one that is not at the top: {titles}"
    second = iter([text for level, text in headings(notebook) if level == 2])
    for wanted in SECTIONS:
        if not any(wanted in text for text in second):
            yield f"no section '{wanted}' where it belongs"
            return


def exercises(notebook):
    """There are enough exercises, each with one folded solution."""
    text = "\n".join(cell["source"] for cell in markdown(notebook))
    found = re.findall(
        r"^`{3,}\{(exercise|solution)-(start|end)\} *(.*)\n((?::.*\n)*)", text, re.M
    )
    gates = [(kind, gate) for kind, gate, _, _ in found]
    for (kind, gate), closing in zip_longest(gates[::2], gates[1::2]):
        if gate != "start" or closing != (kind, "end"):
            yield f"a {kind} is not closed before the next one begins"
            return
    labels, solved = [], []
    for kind, gate, argument, options in found:
        if (kind, gate) == ("exercise", "start"):
            label = re.search(r"^:label: *(\S+)", options, re.M)
            labels.append(label[1] if label else "")
        elif gate == "start":
            solved.append(argument)
            if not re.search(r"^:class:.*\bdropdown\b", options, re.M):
                yield f"the solution of {argument} is not folded (:class: dropdown)"
    if len(labels) < EXERCISES:
        yield f"{len(labels)} exercises; at least {EXERCISES}"
    if "" in labels or sorted(labels) != sorted(solved):
        yield f"exercises {sorted(labels)}, but solutions of {sorted(solved)}"


def identifiers(notebook):
    """The format is 4.5, and each cell has an identifier of its own."""
    version = notebook["nbformat"], notebook["nbformat_minor"]
    if version != (4, 5):
        yield f"format {version}, not (4, 5)"
    seen = set()
    for cell in notebook["cells"]:
        name = cell.get("id")
        if name in seen or not re.fullmatch(r"[\w-]{1,64}", name or "", re.ASCII):
            yield f"{cell['name']}: identifier {name!r} is missing, odd or used before"
        seen.add(name)


CHECKS = [
    execution_counts,
    semicolons,
    clean_outputs,
    machine,
    placeholders,
    known_tags,
    asserted,
    described_images,
    one_image_a_cell,
    png,
    no_widgets,
    narrow_code,
    short_cells,
    introduced,
    sections,
    exercises,
    identifiers,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, check):
    if problems := list(check(read(path))):
        told = [f"{path.name}: {check.__doc__}", *problems]
        pytest.fail("\n".join(told), pytrace=False)


# A page that is finished in an hour ---------------------------------------------------

LIMITS = {"cells": 75, "words of prose": 3500, "lines of code": 400}
# Longer than that still. A page that has come to fit leaves the list.
LONG: set[str] = set()


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
def test_a_page_is_short_or_known_to_be_long(path):
    over = {k: n for k, n in sizes(read(path)).items() if n > LIMITS[k]}
    assert bool(over) == (path.stem in LONG), over


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


# README and the check that runs it ----------------------------------------------------


def test_readme_has_two_commands_the_second_of_which_tests():
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", readme, re.M | re.S)
    assert [len(block.splitlines()) for block in blocks] == [1, 1], blocks
    build, test = blocks
    assert "jupyter-book build -W --keep-going ." in build
    assert "pytest" in test


@pytest.mark.parametrize(
    ("block", "verdict"),
    [
        ("```bash\necho it-runs\n```\n", "ok"),
        ("```bash\necho it-runs; exit 3\n```\n", "FAILED"),
        ("", "FAILED"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the gate is a script for bash")
def test_ci_runs_the_second_command_of_readme(tmp_path, block, verdict):
    readme = f"# Title\n```bash\necho building\n```\nand\n{block}"
    (tmp_path / "README.md").write_text(readme)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    # Pythons that do nothing, so that no environment is built for this.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "python3").chmod(0o755)
    other = str(tmp_path / "bin" / "python3.99")
    shutil.copy(tmp_path / "bin" / "python3", other)
    run = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env=os.environ
        | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONS": other},
        capture_output=True,
        text=True,
        timeout=60,
    )
    summary = run.stdout.rpartition("\n\n")[2].splitlines()  # a line for each step
    (tested,) = [line for line in summary if "README's test command" in line]
    assert tested.startswith(verdict), run.stdout + run.stderr
    assert ("\nit-runs\n" in run.stdout) == bool(block)
    # Without an environment and a book, the steps that need them must count as failed,
    # another Python's among them.
    passed, failed = map(int, re.findall(r"\d+", summary[-1]))
    assert summary[-1] == f"steps: {passed} passed, {failed} failed"
    assert failed >= 10
    assert passed + failed == len(summary) - 1
    assert any(line.startswith("FAILED") and "python3.99" in line for line in summary)
    assert run.returncode != 0


# nbval compares, and in the mode that the data calls for ------------------------------

DATASETS = """
import os

class DatasetError(RuntimeError):
    pass

def origin():
    if {data!r} == "damaged":
        raise DatasetError("names/Czech.txt is damaged")
    if os.environ.get("COMPANION_DATA") != "sample":
        with open("asked", "a") as file:
            file.write("?")
    return {data!r}, "says the test"
"""
SETTINGS = """\
import os
assert os.environ["OMP_NUM_THREADS"] == "1"
assert "inline" in os.environ["MPLBACKEND"]
assert os.environ.get("COMPANION_DATA") == {setting!r}"""


HOOKS = (
    "pyproject.toml",
    "tests/nbval_sanitize.cfg",
    "tests/differences.py",
    "book/conftest.py",
)


def run_pytest(folder, data, *options):
    """Run a book of one small notebook with the options and the hooks of this one."""
    for file in HOOKS:
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    (folder / "companion").mkdir()
    (folder / "companion" / "__init__.py").touch()
    (folder / "companion" / "datasets.py").write_text(DATASETS.format(data=data))
    setting = "sample" if data == "sample" else None
    sources = [
        ("print(6 * 7)", [new_output("stream", text="42\n")]),
        ("print(6 * 7)", [new_output("stream", text="43\n")]),
        ("1 / 0", []),
        (SETTINGS.format(setting=setting), []),
    ]
    cells = [
        new_code_cell(source, execution_count=n, outputs=outputs)
        for n, (source, outputs) in enumerate(sources, 1)
    ]
    (folder / "book" / "tiny.ipynb").write_text(json.dumps(new_notebook(cells=cells)))
    # Inside of a test, pytest must not take itself for one of the workers out there.
    kept = {name: v for name, v in os.environ.items() if name[:7] != "PYTEST_"}
    kept.pop("COMPANION_DATA", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--color=no", *options],
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "7", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("data", "options", "failed", "header"),
    [
        ("real", ["-n0"], "12", "strict, on the real data"),
        ("real", ["-n0", "--nbval-lax"], "2", "outputs not compared (lax), on the rea"),
        ("sample", [], "2", "outputs not compared (lax), on the bundled sample"),
    ],
    ids=["strict", "lax on demand", "lax on the sample"],
)
def test_nbval_compares(tmp_path, data, options, failed, header):
    run = run_pytest(tmp_path, data, *options)
    cells = re.findall(r"^(PASSED|FAILED) book/tiny.ipynb::Cell (\d)", run.stdout, re.M)
    assert len(cells) == 4, run.stdout + run.stderr
    assert "".join(sorted(c for r, c in cells if r == "FAILED")) == failed, run.stdout
    assert f"\nnotebooks: {header}" in run.stdout
    assert "(says the test)" in run.stdout
    # A failed run says what to send: both values, and what computed them.
    assert "book/tiny.ipynb, In [3]" in run.stdout
    assert "ZeroDivisionError: division by zero" in run.stdout
    assert re.search(r"^processor  \S.*^PyTorch    2\.", run.stdout, re.M | re.S)
    values = "  page: 43\n  here: 42\n"
    assert (values in run.stdout) == ("1" in failed)
    # A dead network is tried once: what was found then is handed on.
    assert data == "real" or (tmp_path / "asked").read_text() == "?"


def test_damaged_data_end_the_run(tmp_path):
    run = run_pytest(tmp_path, "damaged")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: names/Czech.txt is damaged" in run.stderr
    assert "passed" not in run.stdout


# The checks bite ----------------------------------------------------------------------

SOLVED = """
```{{exercise-start}}
:label: ex-{0}
```
Why?
```{{exercise-end}}
```

```{{solution-start}} ex-{0}
:class: dropdown
```
Because.
```{{solution-end}}
```
"""
FIGURE = {
    "figure": {"caption": "A line.", "name": "fig-line"},
    "image": {"alt": "A line that rises from the lower left to the upper right."},
}


def good():
    """Return a flawless chapter, as small as one can be."""
    solved = [SOLVED.format(n) for n in range(EXERCISES)]
    closing = [*(f"## {title}" for title in SECTIONS[2:6]), *solved, "## Sources"]
    image = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480>"}
    cells = [
        new_markdown_cell("# Title\n\n## You will\n\n## Set-up"),
        new_code_cell("from time import perf_counter"),
        new_markdown_cell("How long does nothing take?"),
        new_code_cell(
            "print(perf_counter())",
            metadata={"tags": [IGNORE]},
            outputs=[new_output("stream", text="1.5\n")],
        ),
        new_markdown_cell("```python\n# not a heading\n```\nTime is positive."),
        new_code_cell("assert perf_counter() > 0"),
        new_markdown_cell("See https://example.org/home/ for more."),
        new_code_cell(
            "plt.show()",
            metadata={"mystnb": FIGURE},
            outputs=[new_output("display_data", data=image)],
        ),
        new_markdown_cell("\n\n".join(closing)),
    ]
    for count, cell in enumerate([c for c in cells if c.cell_type == "code"], 1):
        cell.execution_count = count
    return json.loads(json.dumps(new_notebook(cells=cells)))


# Places in the flawless chapter
IMPORTS, TEXT, TIMED, ASSERTED, DRAWN, LAST = 1, 2, 3, 5, 7, 8


def drop(notebook, *places):
    """Take cells out."""
    for place in sorted(places, reverse=True):
        notebook["cells"].pop(place)


def put(place, **changes):
    return lambda notebook: notebook["cells"][place].update(changes)


def edit(place, old, new):
    def spoil(notebook):
        cell = notebook["cells"][place]
        assert old in cell["source"]
        cell["source"] = cell["source"].replace(old, new, 1)

    return spoil


def add(place, kind, **output):
    output = new_output(kind, **output)
    return lambda notebook: notebook["cells"][place]["outputs"].append(output)


def describe(**changes):
    return put(DRAWN, metadata={"mystnb": FIGURE | changes})


def tag(place, *names):
    return put(place, metadata={"tags": list(names)})


# Metadata and data that no cell of the book may hold
SVG = new_output("display_data", data={"image/svg+xml": "<svg/>"})
VIEW = {"application/vnd.jupyter.widget-view+json": {}}

FLAWS = [
    (execution_counts, put(IMPORTS, execution_count=None)),
    (execution_counts, put(IMPORTS, execution_count=2)),
    (semicolons, put(IMPORTS, source="plt.plot([1]);\n\n")),
    (clean_outputs, add(IMPORTS, "stream", name="stderr", text="UserWarning: old")),
    (clean_outputs, add(IMPORTS, "error", ename="E", evalue="no", traceback=["E"])),
    *[(machine, put(TEXT, source=f"It lies in /{name}/data.")) for name in FOLDERS],
    *[(machine, put(IMPORTS, source=f"open('/{name}/data')")) for name in FOLDERS],
    *[(machine, add(IMPORTS, "stream", text=f"/{name}/.cache\n")) for name in FOLDERS],
    (machine, add(IMPORTS, "stream", text="C:\\Users\\reader\n")),
    (machine, add(IMPORTS, "execute_result", data={"text/plain": ["'/Users/", "me'"]})),
    (machine, add(IMPORTS, "stream", text="<function f at 0x7f00aa>\n")),
    (placeholders, put(TEXT, source="It takes @@TIME@@.")),
    (known_tags, tag(IMPORTS, "nbval-skip")),
    (known_tags, tag(IMPORTS, "raises-exception")),
    (known_tags, put(IMPORTS, source="# NBVAL_IGNORE_OUTPUT\nimport time")),
    (asserted, edit(ASSERTED, "assert", "print")),
    (asserted, tag(ASSERTED, IGNORE)),
    (asserted, put(DRAWN, metadata={"mystnb": FIGURE, "tags": [IGNORE]})),
    (described_images, put(DRAWN, metadata={"mystnb": {}})),
    (described_images, describe(figure={"name": "fig-line"})),
    (described_images, describe(figure={"caption": "A line.", "name": " "})),
    (described_images, describe(image={"alt": "A line."})),
    (one_image_a_cell, add(DRAWN, "display_data", data={"image/png": "iVBORw0KGgo="})),
    (png, put(DRAWN, outputs=[SVG])),
    (no_widgets, lambda notebook: notebook["metadata"].update(widgets={"state": {}})),
    (no_widgets, add(TIMED, "display_data", data=VIEW)),
    (narrow_code, put(IMPORTS, source=f"x = '{'x' * COLUMNS}'")),
    (short_cells, put(IMPORTS, source="x = 1\n\n" * (LINES + 1))),
    (introduced, lambda notebook: drop(notebook, TEXT, ASSERTED - 1)),
    (introduced, lambda notebook: [put(i, cell_type="raw")(notebook) for i in (2, 4)]),
    (sections, edit(0, "# Title", "Title")),
    (sections, put(TEXT, source="# Another title")),
    (sections, edit(0, "## Set-up", "### Set-up")),
    (sections, edit(0, "## Set-up", "```\n## Set-up\n```")),
    (sections, edit(LAST, "## Recap", "")),
    (sections, edit(LAST, "## Check it", "## Recap and check it")),
    (exercises, edit(LAST, SOLVED.format(3), "")),
    (exercises, edit(LAST, ":label: ex-3", "")),
    (exercises, edit(LAST, "{solution-start} ex-3", "{solution-start} ex-2")),
    (exercises, edit(LAST, ":class: dropdown", "")),
    (exercises, edit(LAST, "```{exercise-end}\n```", "")),
    (exercises, edit(LAST, "```{solution-end}\n```\n\n\n## Sources", "## Sources")),
    (identifiers, lambda notebook: notebook.update(nbformat_minor=4)),
    (identifiers, lambda notebook: notebook["cells"][TEXT].pop("id")),
    (identifiers, lambda notebook: [cell.update(id="a") for cell in notebook["cells"]]),
]


def complaints(notebook):
    notebook = parse(json.dumps(notebook))
    found = {check: list(check(notebook)) for check in CHECKS}
    return {check: problems for check, problems in found.items() if problems}


def test_a_flawless_notebook_has_no_problem():
    assert not complaints(good())


@pytest.mark.parametrize(("check", "spoil"), FLAWS)
def test_exactly_one_check_sees_the_flaw(check, spoil):
    notebook = good()
    spoil(notebook)
    assert list(complaints(notebook)) == [check], complaints(notebook)


def test_every_check_has_a_flaw_to_see():
    assert dict(FLAWS).keys() == set(CHECKS)
