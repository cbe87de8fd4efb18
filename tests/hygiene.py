"""The hygiene of a notebook: functions from a notebook to its problems.

`tests/test_book.py` runs them on every page; `tests/test_hygiene.py` shows that each of
them bites.
"""

import ast
import json
import re
from itertools import zip_longest

from tests.notebooks import (
    code,
    figure,
    headings,
    markdown,
    mimes,
    nodes,
    tags,
    written,
)

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


def written_cells(notebook):
    """No cell of code is empty, and leaves what it once printed on the page."""
    for cell in code(notebook):
        if not written(cell):
            yield f"{cell['name']}: empty"


def drawn(notebook):
    """What is shown as a figure is there as an image."""
    for cell in code(notebook):
        shows = "plt.show()" in cell["source"] or figure(cell)
        if shows and not mimes(cell, "image/"):
            yield f"{cell['name']}: no image"


BROAD = {None, "Exception", "BaseException", "AssertionError"}


def handled(notebook):
    """What is caught has a name, is no failed assertion, and something comes of it."""
    for cell, node in nodes(notebook):
        if isinstance(node, ast.ExceptHandler):
            kinds = getattr(node.type, "elts", [node.type])
            broad = BROAD & {getattr(kind, "id", None) for kind in kinds}
            idle = all(isinstance(s, ast.Pass | ast.Continue) for s in node.body)
            if broad or idle:
                yield f"{cell['name']}: {ast.unparse(node).splitlines()[0]!r}"
        elif getattr(node, "id", getattr(node, "attr", "")) == "suppress":
            yield f"{cell['name']}: suppress"


def always(test):
    """Whether an expression is true whatever the code computes."""
    if isinstance(test, ast.Compare):
        sides = [ast.dump(side) for side in (test.left, *test.comparators)]
        return len(set(sides)) == 1
    if isinstance(test, ast.BoolOp):
        found = [always(value) for value in test.values]
        return any(found) if isinstance(test.op, ast.Or) else all(found)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Constant) and not test.operand.value
    if isinstance(test, ast.Constant | ast.Tuple | ast.List | ast.Dict):
        return bool(getattr(test, "value", getattr(test, "elts", True)))
    return isinstance(test, ast.GeneratorExp | ast.Lambda | ast.JoinedStr)


def binding(notebook):
    """An assertion can fail."""
    for cell, node in nodes(notebook):
        if isinstance(node, ast.Assert) and always(node.test):
            yield f"{cell['name']}: {ast.unparse(node)[:60]!r} is always true"


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
    written_cells,
    drawn,
    handled,
    binding,
]
