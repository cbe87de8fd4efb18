"""Each check of a notebook's hygiene bites, on a notebook that breaks one rule."""

import json

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.hygiene import (
    CHECKS,
    COLUMNS,
    EXERCISES,
    FOLDERS,
    IGNORE,
    LINES,
    SECTIONS,
    asserted,
    binding,
    clean_outputs,
    described_images,
    drawn,
    execution_counts,
    exercises,
    handled,
    identifiers,
    introduced,
    known_tags,
    machine,
    narrow_code,
    no_widgets,
    one_image_a_cell,
    placeholders,
    png,
    sections,
    semicolons,
    short_cells,
    written_cells,
)
from tests.notebooks import parse

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

SWALLOWED = [
    f"try:\n    run()\nexcept{kind}:\n    {body}"
    for kind, body in [
        ("", "print('no')"),
        (" Exception as error", "print(error)"),
        (" (ValueError, AssertionError) as error", "print(error)"),
        (" ValueError", "pass"),
    ]
]
SWALLOWED.append("with contextlib.suppress(ValueError):\n    run()")
ALWAYS = [
    "True",
    "'equal'",
    "(x == y, 'they differ')",
    "x == x",
    "f(x).max() <= f(x).max()",
    "x == y or True",
    "not False",
    "(x == y for x in z)",
    "lambda: x == y",
]

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
    (asserted, edit(ASSERTED, "assert ", "")),
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
    (written_cells, put(IMPORTS, source="\n")),
    (drawn, put(DRAWN, outputs=[])),
    (drawn, put(DRAWN, metadata={}, outputs=[])),
    *[(handled, put(IMPORTS, source=code)) for code in SWALLOWED],
    *[(binding, put(IMPORTS, source=f"assert {test}")) for test in ALWAYS],
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
