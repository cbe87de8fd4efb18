"""The check of the arithmetics finds an output that depends on the processor."""

import json
import os
import shutil

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

from companion import datasets
from tests import arithmetics, differences
from tests.notebooks import ROOT
from tests.test_gate import HOOKS

SUM = """\
import torch
generator = torch.Generator().manual_seed(0)
x = torch.randn(10_000, generator=generator)
print("sum", x.cumsum(0)[-1].item())
print("mean", round(x.double().mean().item(), 2))"""

# Type of 9 points, in a figure that is shown as the page stores it
FIGURE = """\
import matplotlib.pyplot as plt
ax = plt.figure(figsize=(6.4, 4), dpi=100).subplots()
ax.set_title("small", size=9)
plt.show()"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page whose first line is rounding noise, and whose figure has small type."""
    for file in HOOKS:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    scope = {}
    exec(SUM, scope)
    x = scope["x"]
    text = f"sum {x.cumsum(0)[-1].item()}\nmean {round(x.double().mean().item(), 2)}\n"
    outputs = [new_output("stream", text=text)]
    cells = [new_code_cell(SUM, execution_count=1, outputs=outputs)]
    data = {"text/plain": "<Figure size 640x400 with 1 Axes>", "image/png": "AAAA"}
    outputs = [new_output("display_data", data=data)]
    cells += [new_code_cell(FIGURE, execution_count=2, outputs=outputs)]
    (tmp_path / "book" / "page.ipynb").write_text(json.dumps(new_notebook(cells=cells)))
    monkeypatch.setattr(arithmetics, "ROOT", tmp_path)
    # A sample is at hand on every machine, and this page reads no data.
    monkeypatch.setenv("COMPANION_DATA", "sample")
    monkeypatch.setattr(datasets, "origin", lambda: ("real", "says the test"))
    for name in [n for n in os.environ if n.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    return "book/page.ipynb"


@pytest.mark.slow  # 20 seconds or more
def test_a_planted_instability_and_a_bad_figure_are_found_and_shown(page, capfd):
    rows = ["as is", "draws off by one bit"]
    arguments = [word for row in rows for word in ("--row", row)]
    assert arithmetics.main([*arguments, "--workers=0", page]) == 1
    said = capfd.readouterr().out
    assert "| as is | 1 of 2 |" in said
    assert "| draws off by one bit | 2 of 2 |" in said
    # What this check says, after what pytest has said
    listed = said.rpartition("failed in ")[2]
    assert f"\n{page}, In [1]: Cell outputs differ\n  page: sum" in listed
    assert "\n  here: sum" in listed
    assert "mean" not in listed, "a line that is equal is not shown"
    assert (
        "  here: AssertionError: the figure has faults: '0.0' has 5.3 points" in listed
    )
    assert "; 'small' has 4.8 points on a phone; at least 8\n" in listed


def test_a_page_that_is_not_there_is_no_green_row(page):
    with pytest.raises(SystemExit, match="no result"):
        arithmetics.main(["--row", "as is", "book/none.ipynb"])


def test_the_sample_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_DATA", "sample")
    with pytest.raises(SystemExit):
        arithmetics.main(["--row", "as is"])
    assert "the stored outputs are those of the real data" in capsys.readouterr().err


def test_half_of_the_draws_move_to_their_neighbours(monkeypatch):
    draws = {"randn": torch.randn, "rand": torch.rand, "normal": torch.normal}
    methods = {"normal_": torch.Tensor.normal_, "uniform_": torch.Tensor.uniform_}
    for owner, kept in ((torch, draws), (torch.Tensor, methods)):
        for name, draw in kept.items():
            monkeypatch.setattr(owner, name, draw)  # put back at the end
    torch.manual_seed(0)
    before = [torch.randn(3, 4), torch.empty(4, 6).t().normal_()]
    arithmetics.draw_off_by_one_bit()
    torch.manual_seed(0)
    after = [torch.randn(3, 4), torch.empty(4, 6).t().normal_()]
    for x, y in zip(before, after, strict=True):
        moved = (x != y).double().mean()
        assert moved == 0.5
        assert torch.allclose(x, y, rtol=2e-7, atol=0)


def test_the_two_values_stand_side_by_side():
    report = differences.compare(["a", "b", "c"], ["a", "B"])
    assert report == "  page: b\n  here: B\n  page: c\n  here: (nothing)"
