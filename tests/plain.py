"""Run chapters without Jupyter: for machines where no kernel starts.

    python -m tests.plain book/01_one_hot.ipynb ...
    python -m tests.plain --verbose --minutes 40 book/02_rnn_from_scratch.ipynb

IPython's own shell executes the code cells of each notebook in one namespace, in order,
in the notebook's folder, on one thread. What a cell prints and displays is compared
with what is stored, as nbval compares it: streams and `text/plain` (of a figure, its
size), both sanitised as tests/nbval_sanitize.cfg says; not where `nbval-ignore-output`
stands, nor on the bundled sample. Pictures are not drawn, since they are not compared.

Each cell that differs is listed with both values, each exception with its line; the
exit status is 1 if there was any. tests/aarch64.sh runs chapters so on an emulated
processor, where everything takes some twenty times as long.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbval.plugin import coalesce_streams, get_sanitize_patterns
from traitlets.config import Config

from companion import datasets
from tests.differences import compare, machine

ROOT = Path(__file__).parents[1]
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"


class Displayed(DisplayHook):
    """Displays the value of a cell's last expression, as a kernel does."""

    def write_output_prompt(self):
        """Leave out the `Out[1]:` of a terminal."""

    def write_format_data(self, format_dict, md_dict=None):
        """Hand the value to whoever collects what is displayed."""
        self.shell.display_pub.publish(format_dict, md_dict)


class Shell(InteractiveShell):
    """An IPython shell as a kernel has it, but in this process."""

    displayhook_class = Displayed


def start_shell(folder: str) -> InteractiveShell:
    """Start the shell with the settings of a page: one thread, figures inline."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    os.environ["IPYTHONDIR"] = folder  # nobody's own settings
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = Shell.instance(config=config)
    shell.display_formatter.active_types = ["text/plain"]  # no pictures
    return shell


def values(outputs: list) -> dict[str, list[str]]:
    """What nbval compares of a cell's outputs: of each kind its texts, in order."""
    found = {}
    for output in coalesce_streams(outputs):
        if output.output_type == "stream":
            found.setdefault(output.name, []).append(output.text)
        elif output.output_type == "error":
            found.setdefault("error", []).append(f"{output.ename}: {output.evalue}")
        elif "text/plain" in output.data:
            found.setdefault("text/plain", []).append(output.data["text/plain"])
    return found


def sanitized(text: str) -> str:
    """The text without what may differ between two honest runs."""
    for regex, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(regex, replacement, text)
    return text


def execute(shell: InteractiveShell, source: str) -> tuple[list, BaseException | None]:
    """Run one cell: its outputs, as a notebook stores them, and what it raised."""
    with capture_output() as captured:
        result = shell.run_cell(source, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    outputs = [
        nbformat.v4.new_output("stream", name=name, text=text)
        for name, text in [("stdout", captured.stdout), ("stderr", captured.stderr)]
        if text
    ]
    outputs += [
        nbformat.v4.new_output("display_data", data=shown.data)
        for shown in captured.outputs
    ]
    return outputs, error


def difference(stored: list, here: list) -> str:
    """Both values of each kind of output that is not the same, or nothing."""
    report = []
    old, new = values(stored), values(here)
    for kind in sorted(old.keys() | new.keys()):
        page, run = ([sanitized(t) for t in v.get(kind, [])] for v in (old, new))
        if page != run:
            lines = ("\n".join(texts).splitlines() for texts in (page, run))
            report += [f"  {kind}:", compare(*lines)]
    return "\n".join(report)


def raised(error: BaseException) -> str:
    """Say what a cell raised, and in which of the notebook's lines."""
    steps = traceback.extract_tb(error.__traceback__)
    report = [
        f"  line {step.lineno}: {step.line}"
        for step in steps
        if step.filename.startswith("<ipython-input")
    ]
    return "\n".join([*report, f"  {type(error).__name__}: {error}"])


def run_page(page: Path, minutes: float, verbose: bool) -> int:
    """Run one notebook and print what differs; return how many cells did."""
    if os.environ.get("COMPANION_DATA", "sample") != "sample":
        # Notebooks run in their own folder, where a relative path leads elsewhere.
        folder = os.path.expanduser(os.environ["COMPANION_DATA"])
        os.environ["COMPANION_DATA"] = os.path.abspath(folder)
    mode, reason = datasets.origin()
    notebook = nbformat.read(page, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    name = os.path.relpath(page, ROOT)
    print(f"== {name}: {len(cells)} code cells, {mode} data ({reason})", flush=True)
    began, done, bad = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        shell = start_shell(folder)
        os.chdir(page.parent)
        for done, cell in enumerate(cells, 1):
            start = time.monotonic()
            outputs, error = execute(shell, cell.source)
            seconds = time.monotonic() - start
            report = ""
            if error is not None:
                report = raised(error)
            elif "nbval-ignore-output" in cell.metadata.get("tags", []):
                pass
            elif mode == "real":
                report = difference(cell.outputs, outputs)
            if verbose:
                print(f"{name}, In [{done}]: {seconds:.1f} s", flush=True)
            if report:
                bad += 1
                print(f"{name}, In [{done}]:\n{report}", flush=True)
            if time.monotonic() - began > 60 * minutes:
                break
    seconds = time.monotonic() - began
    part = f"the first {done} of {len(cells)}" if done < len(cells) else f"{done}"
    print(f"== {name}: {bad} of {part} cells differ, {seconds:.0f} s", flush=True)
    return bad


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that were asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.plain",
        description="Runs notebooks without Jupyter and compares their outputs with "
        "the stored ones.",
    )
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="of each page; default: no limit",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="print the seconds of each cell"
    )
    options = parser.parse_args(arguments)
    if len(options.pages) == 1:
        bad = run_page(options.pages[0].resolve(), options.minutes, options.verbose)
        print(f"\n{machine()}" if bad else "no difference")
        return int(bad > 0)
    bad = 0  # each page in a process of its own, as each has its own kernel in Jupyter
    settings = ["--verbose"] * options.verbose + ["--minutes", str(options.minutes)]
    for page in options.pages:
        command = [sys.executable, "-m", "tests.plain", *settings, str(page)]
        bad |= subprocess.run(command).returncode
    return bad


if __name__ == "__main__":
    raise SystemExit(main())
