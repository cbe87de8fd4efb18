"""What a reader sends when a cell does not print here what the page shows.

nbval shows a bare difference. Whoever is to mend the page needs the two values side by
side, and what computed them: book/conftest.py puts both under the run.
"""

import os
import platform
import subprocess
from itertools import zip_longest
from pathlib import Path

from nbval.plugin import IPyNbCell, coalesce_streams

# What changes the arithmetic of PyTorch and of the libraries under it
SETTINGS = [
    "ATEN_CPU_CAPABILITY",
    "BOOK_THREADS",
    "BOOK_ARITHMETIC",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
]
HEADING = "what differs from the page"
REQUEST = """\
The page and this machine disagree, and one of them is wrong. The outputs on the page
were the same under every arithmetic that was tried, so please report it with all that
stands between these lines: it names each cell, both values, and what computed them."""


def lines(outputs, sanitize=str):
    """The compared text of a cell's outputs: a list of lines."""
    text = []
    for output in coalesce_streams(outputs or []):
        if output.output_type == "stream":
            text += output.text.splitlines()
        elif output.output_type == "error":
            text += [f"{output.ename}: {output.evalue}"]
        else:
            text += output.get("data", {}).get("text/plain", "").splitlines()
    return [sanitize(line) for line in text]


def compare(stored, here):
    """Name the lines that differ: the one on the page above the one computed here."""
    report = []
    for old, new in zip_longest(stored, here, fillvalue="(nothing)"):
        if old != new:
            report += [f"  page: {old}", f"  here: {new}"]
    return "\n".join(report)


def describe(cell: IPyNbCell, error: BaseException) -> str:
    """Say of a failed cell where it stands, why it failed, and both values."""
    page = Path(cell.path).relative_to(cell.config.rootpath).as_posix()
    values = compare(
        lines(cell.cell.outputs, cell.sanitize), lines(cell.test_outputs, cell.sanitize)
    )
    return f"{page}, In [{cell.cell_num + 1}]: {error}\n{values}"


def processor() -> str:
    """The processor's own name, or the nearest that the system tells."""
    try:
        if platform.system() == "Linux":
            text = Path("/proc/cpuinfo").read_text()
            return next(
                line.partition(":")[2].strip()
                for line in text.splitlines()
                if line.startswith("model name")
            )
        if platform.system() == "Darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True).strip()
    except (OSError, StopIteration, subprocess.CalledProcessError):
        pass  # an Arm processor has no model name under Linux
    return platform.processor() or platform.machine()


def machine() -> str:
    """Processor, system, Python and PyTorch build, and the settings that matter."""
    import torch  # late: only a failed run pays for it

    capability = torch.backends.cpu.get_cpu_capability()
    settings = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    return "\n".join(
        [
            f"processor  {processor()} ({platform.machine()}), {os.cpu_count()} cores",
            f"system     {platform.platform()}",
            f"Python     {platform.python_version()}",
            f"PyTorch    {torch.__version__}, vector instructions {capability}, "
            f"MKL {'on' if torch.backends.mkl.is_available() else 'off'}, "
            f"oneDNN {'on' if torch.backends.mkldnn.is_available() else 'off'}",
            f"settings   {' '.join(settings) or 'none'}",
        ]
    )
