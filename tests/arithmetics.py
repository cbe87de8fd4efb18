"""Does any output of the book depend on the processor? Run the chapters and see.

    python -m tests.arithmetics                       all rows, all notebooks
    python -m tests.arithmetics --row AVX2 book/03_gradient_clipping.ipynb
    python -m tests.arithmetics --farthest            the row least like this processor

Another processor adds in another order, and rounds elsewhere. Each row makes this one
compute like another, runs the notebooks under pytest as README does, and lists every
output that differs from the stored one, with both values. A table of the rows, their
times and what differed comes last; the exit status is 1 if anything did. On the way
tests/figures.py looks at every figure that is shown: one with a fault fails its cell.

Where numbers are drawn or trained in float32, or a digit stands at an edge of rounding,
the page claims noise: see README, *Working on the book*, for what to do.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from companion import datasets
from tests.differences import HEADING, SETTINGS, machine

ROOT = HERE = Path(__file__).resolve().parents[1]
# name: what it sets. `BOOK_ARITHMETIC` names a function of this file that the kernel
# runs before the first cell.
ROWS = {
    "as is": {},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "no vector instructions": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
    "MKL_CBWR=COMPATIBLE": {"MKL_CBWR": "COMPATIBLE"},
    "oneDNN off": {"BOOK_ARITHMETIC": "without_onednn"},
    # passive: threads that wait by spinning starve each other on a busy machine
    "two threads": {"BOOK_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    "draws off by one bit": {"BOOK_ARITHMETIC": "draw_off_by_one_bit"},
}
FARTHEST = "no vector instructions"


def as_it_is():
    """Change nothing."""


def without_onednn():
    """Leave every product to MKL, or whatever else PyTorch was built with."""
    import torch

    torch.backends.mkldnn.set_flags(False)


def draw_off_by_one_bit():
    """Round what is drawn another way: half of the numbers move to their neighbour.

    float32 draws do differ so between instruction sets. What a page prints must not
    depend on the last bit of its initial weights, on no processor at all.
    """
    import functools

    import torch

    def moved(x):
        if not x.is_floating_point():
            return x
        with torch.no_grad():
            flat = x.view(-1) if x.is_contiguous() else x.reshape(-1)
            far = torch.full_like(flat[::2], float("inf"))
            flat[::2] = torch.nextafter(flat[::2], far)
            return x if x.is_contiguous() else flat.view(x.shape)

    def wrapped(draw):
        return functools.wraps(draw)(lambda *args, **kw: moved(draw(*args, **kw)))

    for owner, name in [
        (torch, "randn"),
        (torch, "rand"),
        (torch, "normal"),
        (torch.Tensor, "normal_"),
        (torch.Tensor, "uniform_"),
    ]:
        setattr(owner, name, wrapped(getattr(owner, name)))


def run(settings, pages, workers):
    """Run pages under settings: {cell: both values} and pytest's exit status.

    Raises:
        SystemExit: if pytest could not run the notebooks at all.
    """
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS} | settings
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        folder = Path(scratch) / "profile_default" / "startup"
        folder.mkdir(parents=True)
        began = Path(scratch) / "began"
        changed = settings.get("BOOK_ARITHMETIC", "as_it_is")
        (folder / "arithmetic.py").write_text(
            f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
            f"from tests import arithmetics, figures\n"
            f"arithmetics.{changed}(); figures.watch()\n"
            "del sys.path[0], sys, arithmetics, figures\n"
            f"open({str(began)!r}, 'w').close()\n"
        )
        environment["IPYTHONDIR"] = scratch
        if environment.get("BOOK_THREADS", "1") != "1":
            workers = 1  # or the threads would wait for each other
        options = ["-q", "--nbval", f"-n{workers}", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, "--tb=no", *pages]
        status = subprocess.run(command, cwd=ROOT, env=environment).returncode
        if status not in (0, 1):
            raise SystemExit(f"pytest ended with {status}: no result")
        if not began.exists():
            raise SystemExit(f"no kernel ran {changed}: no result")
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {}
    for case in cases:
        if case.find("failure") is None and case.find("error") is None:
            continue
        values = [
            entry.get("value")
            for entry in case.iter("property")
            if entry.get("name") == HEADING
        ]
        name = f"{case.get('classname')} {case.get('name')}"
        failed[name] = values[0] if values else "failed outside of a cell"
    return failed, len(cases)


def main(arguments=None):
    """Run the rows that were asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.arithmetics",
        description="Runs notebooks under other processors' arithmetic, and lists "
        "the outputs that differ from the stored ones.",
    )
    parser.add_argument("pages", nargs="*", default=["book"], help="default: all")
    parser.add_argument(
        "--row", action="append", choices=list(ROWS), help="default: all rows"
    )
    parser.add_argument(
        "--farthest", action="store_true", help=f"one row: {FARTHEST!r}"
    )
    parser.add_argument("--workers", type=int, default=2, help="default: 2")
    options = parser.parse_args(arguments)
    data, reason = datasets.origin()
    if data != "real":
        parser.error(f"the stored outputs are those of the real data; here: {reason}")
    if platform.machine() not in ("x86_64", "AMD64"):
        print("Not an x86-64 processor: the rows of MKL and AVX2 change nothing here.")
    rows = [FARTHEST] if options.farthest else options.row or list(ROWS)
    table = ["| arithmetic | outputs that differ | seconds |", "|:--|--:|--:|"]
    bad = False
    for row in rows:
        settings = ROWS[row]
        said = " ".join(f"{k}={v}" for k, v in settings.items()) or "nothing set"
        print(f"\n== {row}: {said}", flush=True)
        start = time.monotonic()
        failed, cells = run(settings, options.pages, options.workers)
        seconds = time.monotonic() - start
        bad |= bool(failed)
        for values in failed.values():
            print(values)
        table.append(f"| {row} | {len(failed)} of {cells} | {seconds:.0f} |")
    print(f"\n{machine()}\n")
    print("\n".join(table))
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
