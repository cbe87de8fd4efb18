"""The map on the first page of the package is the one that the imports draw."""

import ast
import re
from pathlib import Path

import pytest

import companion

ROOT = Path(companion.__file__).parent
#: What a package may import besides itself; modules of the core may import it, too.
BELOW = "support"
MAY = {
    "support": set(),
    "classify": {"core", "support"},
    "laboratory": {"core", "support", "classify"},
    "drawing": {"core"},
    "experiments": {"core", "support", "classify", "laboratory", "drawing"},
}
FILE, CLASS = 250, 100  # lines at most
CORE = 1800  # lines of the core at most, docstrings included


def blocks() -> list[list[str]]:
    """Return the names of the map, block by block, in order."""
    found = re.findall(r"::\n\n((?: {4}.*\n)+)", companion.__doc__)
    names = [re.findall(r"^ {4}(.+?) {2,}", block, re.MULTILINE) for block in found]
    return [", ".join(lines).split(", ") for lines in names]


MAP, UNDER, AROUND = blocks()
FILES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path, root: Path = ROOT) -> str:
    """Write the file's place with dots, `rnn` or `laboratory.fast`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(source: str) -> set[str]:
    """List what of the library a source imports, anywhere in it, without `companion`.

    Of a module the first two names are enough: `laboratory.fast`.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "an import that does not name the package"
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = node.module == "companion" or (
                node.module.removeprefix("companion.") in MAY
            )
            found |= below if modules else {node.module}
    ours = {name for name in found if name.split(".")[0] == "companion"}
    return {".".join(name.split(".")[1:3]) for name in ours} - {""}


def faults(name: str, source: str) -> list[str]:
    """Say which imports of a module go against the map."""
    package = name.split(".")[0] if name.split(".")[0] in MAY else "core"
    wrong = []
    for other in sorted(imported(source)):
        of = other.split(".")[0] if other.split(".")[0] in MAY else "core"
        if of != package:
            right = of in MAY.get(package, {BELOW})
        elif package == "core":
            before = MAP[: MAP.index(name)] if name in MAP else []
            right = other.split(".")[0] in before
        else:
            right = True
        if not right:
            wrong.append(f"{name} imports {other}")
    return wrong


def test_every_module_of_the_core_is_on_the_map_once_and_nothing_else():
    there = {path.stem for path in ROOT.glob("*.py")} - {"__init__"}
    assert sorted(MAP) == sorted(there)


def test_every_package_is_on_the_map_and_nothing_else():
    there = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert sorted(UNDER + AROUND) == sorted(there) == sorted(MAY)


@pytest.mark.parametrize("path", FILES, ids=map(name_of, FILES))
def test_a_module_imports_what_the_map_says(path):
    assert faults(name_of(path), path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        ("rnn", "from companion.support.checks import refuse", []),
        ("rnn", "from companion.support import checks, files", []),
        ("rnn", "from companion.lstm import LSTM", ["lstm"]),
        ("rnn", "from companion.rnn import RNN", ["rnn"]),
        ("rnn", "from companion import text, training", ["training"]),
        ("rnn", "import companion.training as t", ["training"]),
        ("rnn", "def f():\n    import companion.generation", ["generation"]),
        ("rnn", "from companion.laboratory.fast import FastRNN", ["laboratory.fast"]),
        ("rnn", "from companion import drawing", ["drawing"]),
        ("rnn", "from companion.experiments import gates", ["experiments.gates"]),
        ("new", "from companion.text import clean", ["text"]),
        ("new", "from companion.support.checks import refuse", []),
        ("support.files", "from companion.support.download import fetch", []),
        ("support.files", "from companion.text import clean", ["text"]),
        ("support.files", "from companion.classify import load", ["classify.load"]),
        ("laboratory.fast", "from companion.laboratory import ngram, direct", []),
        ("laboratory.fast", "from companion import drawing, rnn", ["drawing"]),
        ("drawing.style", "from companion.laboratory import fast", ["laboratory.fast"]),
        ("drawing.style", "import companion.experiments", ["experiments"]),
        ("experiments.gates", "from companion import drawing, rnn", []),
        ("rnn", "import torch\nimport companionship", []),
    ],
)
def test_an_import_against_the_map_is_found(name, source, wrong):
    assert faults(name, source) == [f"{name} imports {other}" for other in wrong]


def too_long(source: str) -> list[str]:
    """List the classes that are longer than the limit."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= CLASS
    ]


def test_no_file_is_longer_than_the_limit():
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    long = [path for path, lines in sizes.items() if lines > FILE]
    assert long == []


def test_no_class_is_longer_than_the_limit():
    found = {name for path in FILES for name in too_long(path.read_text("utf-8"))}
    assert found == set()


def test_a_class_above_the_limit_is_found():
    source = "class A:\n" + "    x = 1\n" * (CLASS - 1)
    assert too_long(source) == []
    assert too_long(source + "    x = 1\n") == ["A"]


def test_the_core_stays_small():
    lines = [len(p.read_text("utf-8").splitlines()) for p in ROOT.glob("*.py")]
    assert sum(lines) <= CORE
