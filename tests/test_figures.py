"""The check of the figures finds planted faults; the pages' pictures are small."""

import base64
import io
import os
import re
import subprocess
import sys
import textwrap

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from companion import drawing
from companion.drawing.saving import small_picture
from companion.drawing.style import MEANINGS, SIZE, WIDTH, contrast
from tests.figures import faults
from tests.notebooks import NOTEBOOKS, ROOT


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        drawing.use_style()
        yield


@pytest.fixture
def figure():
    """A figure without fault: two named curves, a title, a label on even ground."""
    figure = Figure()
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    for name in ("LSTM", "GRU"):
        ax.plot([0, 1], [0, len(name)], label=name, **drawing.curve(name))
    ax.set(xlabel="step", ylabel="loss", title="two curves")
    ax.text(0.1, 3, "nothing is here")
    drawing.legend(ax)
    return figure


def test_a_legend_writes_a_name_once(figure):
    ax = figure.axes[0]
    ax.plot([0, 1], [0, 0], label="GRU", **drawing.curve("GRU"))
    names = [text.get_text() for text in drawing.legend(ax).get_texts()]
    assert names == ["LSTM", "GRU"]


def test_a_good_figure_has_no_fault(figure):
    before = figure.axes[0].get_xticks()
    assert faults(figure) == []
    assert np.array_equal(figure.axes[0].get_xticks(), before)
    assert figure.axes[0].xaxis.get_gridlines()[0].get_visible()


def small(ax):
    ax.set_xlabel("step", fontsize=SIZE - 1)


def small_ticks(ax):
    ax.tick_params(labelsize=SIZE - 1)


def two_texts(ax):
    ax.text(0.2, 3.1, "and this")


def crowded_ticks(ax):
    ax.set_xticks(np.linspace(0, 1, 21))


def out_of_the_picture(ax):
    ax.figure.text(0.9, 0.02, "a long word too many")


def on_a_curve(ax):
    ax.text(0.5, 2, "through", ha="center", va="center")


def on_a_marker(ax):
    ax.plot(0.2, 3.1, "o")


def on_an_arrow(ax):
    ax.annotate("", (0.1, 3.4), (0.3, 2.8), arrowprops={"arrowstyle": "->"})


def on_the_end_of_a_bar(ax):
    ax.bar(0.2, 3.1, 0.2)


def on_a_line_across(ax):
    ax.axhline(3.1)


def legend_on_a_curve(ax):
    ax.legend(loc="upper right")


def pale_type(ax):
    ax.text(0.1, 2, "pale", color=drawing.COLOURS[1])


PLANTED = {
    small: "'step' has 7.5 points on a phone; at least 8",
    small_ticks: "points on a phone",
    two_texts: "'nothing is here' lies on 'and this'",
    crowded_ticks: "'0.00' lies on '0.05'",
    out_of_the_picture: "'a long word too many' runs out of the figure",
    on_a_curve: "'through' lies on something that is drawn",
    on_a_marker: "'nothing is here' lies on something that is drawn",
    on_an_arrow: "'nothing is here' lies on something that is drawn",
    on_the_end_of_a_bar: "'nothing is here' lies on something that is drawn",
    on_a_line_across: "'nothing is here' lies on something that is drawn",
    legend_on_a_curve: "the legend lies on something that is drawn",
    pale_type: "'pale' is too like its ground",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant, figure):
    plant(figure.axes[0])
    assert any(PLANTED[plant] in fault for fault in faults(figure)), faults(figure)


def test_type_may_stand_in_a_box_that_hides_a_line(figure):
    ax = figure.axes[0]
    ax.plot([0.6, 0.9], [0.3, 0.3], color=drawing.INK, zorder=1)
    box = mpl.patches.Rectangle((0.65, 0.05), 0.2, 0.5, facecolor="white", zorder=4)
    ax.add_patch(box)
    ax.text(0.75, 0.3, "in it", ha="center", va="center", zorder=5)
    assert faults(figure) == []
    box.set_zorder(0)
    assert faults(figure) == ["'in it' lies on something that is drawn"]


def test_what_is_hidden_and_ticks_beyond_the_limits_are_no_faults(figure):
    ax = figure.axes[0]
    ax.text(0.5, 2, "through", visible=False)
    ax.set_xticks([0, 0.5, 5, 5.001])
    ax.set_xlim(0, 1)
    assert faults(figure) == []


KERNEL = """
from tests import figures
figures.watch()
import matplotlib.pyplot as plt
from companion import drawing
drawing.use_style()
ax = plt.figure().subplots()
ax.plot([0, 1])
ax.set_xlabel("x", fontsize={size})
plt.show()
"""


def test_a_watched_kernel_refuses_a_figure_with_a_fault(tmp_path):
    """And shows others as pictures with a palette, exactly as large as they say."""
    page = tmp_path / "page.ipynb"
    sources = [KERNEL.format(size=size) for size in (SIZE, 9)]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)
    command = "-m jupyter nbconvert --to notebook --execute --inplace --allow-errors"
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    command = [sys.executable, *command.split(), str(page)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    good, bad = (cell.outputs[0] for cell in nbformat.read(page, as_version=4).cells)
    picture = Image.open(io.BytesIO(base64.b64decode(good.data["image/png"])))
    assert (picture.mode, picture.size) == ("P", (960, 630))
    assert bad.ename == "AssertionError"
    assert "'x' has 4.8 points on a phone; at least 8" in bad.evalue


def test_a_small_picture_looks_like_the_whole(figure):
    whole = io.BytesIO()
    figure.savefig(whole)
    small = small_picture(figure)
    assert 2 * len(small) < len(whole.getvalue())
    pictures = (
        np.asarray(Image.open(file).convert("RGB")).astype(int)
        for file in (whole, io.BytesIO(small))
    )
    difference = np.abs(next(pictures) - next(pictures))
    assert difference.max() <= 24
    assert difference.mean() < 1


def plots():
    """Yield the code of the figures that Sphinx draws, each with its page."""
    for page in sorted((ROOT / "book").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for found in re.findall(r"\.\. plot::\n.*?\n\n(.*?)\n```", text, re.DOTALL):
            yield page.name, textwrap.dedent(found)


def test_the_figures_of_the_other_pages_have_no_fault():
    found = list(plots())
    assert found
    for page, source in found:
        exec(source, {})
        wrong = faults(plt.gcf())
        plt.close()
        assert not wrong, page


def pictures():
    """Yield the pictures in the notebooks, each with its place."""
    for page in NOTEBOOKS:
        for number, cell in enumerate(nbformat.read(page, as_version=4).cells):
            for output in cell.get("outputs", []):
                if data := output.get("data", {}).get("image/png"):
                    picture = Image.open(io.BytesIO(base64.b64decode(data)))
                    yield f"{page.name}, cell {number}", picture


def test_the_pages_pictures_have_a_palette_and_one_width():
    found = dict(pictures())
    assert found
    width = round(WIDTH * 150)
    assert not [at for at, p in found.items() if (p.mode, p.width) != ("P", width)]


# one colour for one thing


def test_things_that_may_share_a_plot_differ_in_colour_marker_and_line():
    """Those in the groups of the table; across the groups colours recur."""
    groups = (
        (
            "RNN",
            "LSTM",
            "GRU",
            "ReLU",
            "RNN, 2 layers",
            "RNN, both ways",
            "RNN, scratch",
        ),
        ("network", "counts", "another opponent", "LSTM"),
        ("held-out", "training"),
        ("clipped", "not clipped", "smaller rate"),
        ("rate 1, theta 0.5", "rate 1", "rate 0.5", "rate 0.1", "rate 1, forgetful"),
        ("normal", "PyTorch's default", "orthogonal", "rho 1.5", "rho 1.5, inputs 0.3"),
        ("rho 0.5", "rho 1", "rho 2"),
        ("state", "input gate", "forget gate", "output gate", "reset gate"),
    )
    for group in groups:
        for looks in zip(*(MEANINGS[thing] for thing in group), strict=True):
            assert len(set(looks)) == len(group), (group, looks)


def test_a_thing_without_a_colour_is_refused():
    for look in (drawing.colour, drawing.curve, drawing.points):
        with pytest.raises(ValueError, match="thing is 'GPT'; accepted: RNN, "):
            look("GPT")


@pytest.mark.parametrize("colour", drawing.COLOURS)
def test_written_colours_can_be_read_on_white(colour):
    dark = drawing.written(colour)
    assert contrast(dark, "white") >= 4.5
    assert drawing.written(dark) == dark


def test_contrast_is_that_of_the_guidelines():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("white", "#767676") == pytest.approx(4.54, abs=0.005)
    assert contrast("#767676", "white") == contrast("white", "#767676")
