"""What README's test command and the gate run, and that nbval compares."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.notebooks import ROOT

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


@pytest.mark.slow  # replays a page in kernels of its own
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
