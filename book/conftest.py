"""How pytest runs the chapters: on which data, and what it compares.

The outputs stored in the notebooks come from the real data, so nbval
compares them (strict) where that is at hand. On the bundled sample every
number differs: there the cells run, their assertions and exceptions
count, and outputs are not compared (lax).
"""

import os

import pytest
from nbval.plugin import IPyNbCell

from tests import differences

HEADER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Fix what the kernels inherit; suit the mode of nbval to the data."""
    # Not `setdefault`: notebooks run two at a time, and threads of their
    # own would only make them wait for each other. tests/arithmetics.py
    # asks for two, to see that no output depends on them. Under another
    # backend `plt.show()` leaves no figure to compare.
    os.environ["OMP_NUM_THREADS"] = os.environ.get("BOOK_THREADS", "1")
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # A CUDA build of PyTorch on a machine with CUDA's compiler and without
    # a GPU says so on stderr, which is compared. No page depends on it.
    os.environ["TORCH_LOGS"] = "-torch.utils.cpp_extension"

    # Here, since at the top NumPy might come in ahead of the settings.
    from companion import datasets

    try:
        data, reason = datasets.origin()
    except datasets.DatasetError as error:
        raise pytest.UsageError(str(error)) from error
    if data == "sample":
        # One decision for all: xdist's workers and the kernels inherit it,
        # so that a dead network is tried once, and one that comes back
        # changes nothing midway.
        os.environ["COMPANION_DATA"] = "sample"
    elif folder := os.environ.get("COMPANION_DATA"):
        # Kernels run in book/, where a relative path would lead elsewhere.
        folder = os.path.abspath(os.path.expanduser(folder))
        os.environ["COMPANION_DATA"] = folder

    option = config.option
    if not (option.nbval or option.nbval_lax):  # what the user asks stands
        option.nbval, option.nbval_lax = data == "real", data == "sample"
    mode = "outputs not compared (lax)" if option.nbval_lax else "strict"
    name = {"real": "real data", "sample": "bundled sample"}[data]
    config.stash[HEADER] = f"notebooks: {mode}, on the {name} ({reason})"


def pytest_report_header(config: pytest.Config) -> str:
    """Say in the head of the run what its result is worth."""
    return config.stash[HEADER]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep of a failed cell what its reader should send."""
    report = yield
    if report.failed and isinstance(item, IPyNbCell):
        text = differences.describe(item, call.excinfo.value)
        # In the report for the summary below; in the item for the file of
        # --junitxml, which is written when the cell is done with.
        for properties in (report.user_properties, item.user_properties):
            properties.append((differences.HEADING, text))
    return report


def pytest_terminal_summary(terminalreporter):
    """Say under a failed run what to send: the values, the machine."""
    cells = [
        text
        for report in terminalreporter.stats.get("failed", [])
        for name, text in report.user_properties
        if name == differences.HEADING
    ]
    if cells:
        terminalreporter.section(differences.HEADING)
        for text in [*cells, differences.machine()]:
            terminalreporter.write_line(text + "\n")
        terminalreporter.write_sep("=", "end of what differs")
        terminalreporter.write_line(differences.REQUEST)
