"""Reading the notebooks as they stand, for the checks of `tests/hygiene.py`."""

import ast
import json
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))


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


def nodes(notebook):
    """Yield each node of the syntax trees of the cells of code, with its cell."""
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell["source"])):
            yield cell, node
