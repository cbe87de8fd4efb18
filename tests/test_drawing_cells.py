"""What the drawings of the gated cells show: read off matplotlib's objects."""

import io

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from companion.drawing import chapter_6 as cells


@pytest.fixture
def ax():
    return Figure().subplots()


def patches(ax, kind):
    return [patch for patch in ax.patches if type(patch) is kind]


def places(ax):
    return {text.get_text(): text.get_position() for text in ax.texts}


def colours(ax, *names):
    """The colour in which each of these texts is written."""
    found = {text.get_text(): to_hex(text.get_color()) for text in ax.texts}
    return {found[name] for name in names}


@pytest.mark.parametrize("draw", [cells.lstm_cell, cells.gru_cell])
def test_a_drawing_returns_its_axes_and_renders(draw, ax):
    assert draw(ax) is ax
    assert not ax.axison
    ax.figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("draw", [cells.lstm_cell, cells.gru_cell])
def test_the_type_is_legible_on_a_phone(draw, ax):
    draw(ax)
    # 6.4 inches of figure are shown in 360 of the 96 pixels of an inch.
    assert min(text.get_size() for text in ax.texts) * 360 / 96 / 6.4 >= 8


@pytest.mark.parametrize(
    ("draw", "start", "end", "signs"),
    [
        (cells.lstm_cell, "$C_{t-1}$", "$C_t$", [r"$\odot$", "$+$"]),
        (cells.gru_cell, "$H_{t-1}$", "$H_t$", [r"$\odot$", "$+$"]),
    ],
)
def test_one_thick_straight_path_has_a_product_and_then_a_sum(
    draw, start, end, signs, ax
):
    draw(ax)
    (path,) = [arrow for arrow in patches(ax, FancyArrowPatch) if arrow.get_lw() > 3]
    assert to_hex(path.get_edgecolor()) == to_hex(cells.PART_COLOURS["state"])
    height = places(ax)[end][1]
    starts = [t.get_position() for t in ax.texts if t.get_text() == start]
    assert (-1.0, height) in starts
    on_it = [
        (x, text.get_text())
        for text in ax.texts
        for x, y in [text.get_position()]
        if y == height and text.get_text() in (r"$\odot$", "$+$")
    ]
    assert [sign for _, sign in sorted(on_it)] == signs


def test_the_cell_of_an_lstm_has_three_sigmoids_and_two_tanhs_each_in_a_box(ax):
    cells.lstm_cell(ax)
    inside = []
    for box in patches(ax, FancyBboxPatch):
        left, bottom = box.get_x(), box.get_y()
        right, top = left + box.get_width(), bottom + box.get_height()
        (name,) = [
            text.get_text()
            for text in ax.texts
            for x, y in [text.get_position()]
            if left < x < right and bottom < y < top
        ]
        inside.append(name)
    assert sorted(inside) == [r"$\sigma$"] * 3 + [r"$\tanh$"] * 2
    names = set(places(ax))
    assert {f"${gate}_t$" for gate in ("I", "F", "O", r"\tilde C", "C", "H")} <= names
    assert {"$C_{t-1}$", "$H_{t-1}$", "$X_t$"} <= names
    signs = [text.get_text() for text in ax.texts if text.get_text() == r"$\odot$"]
    assert len(signs) == len(patches(ax, Circle)) - 1 == 3


@pytest.mark.parametrize("number", range(1, 5))
def test_parts_that_are_not_named_are_pale(number, ax):
    cells.lstm_cell(ax, cells.PARTS[:number])
    letters = {"candidate": r"$\tilde C_t$", "input": "$I_t$", "forget": "$F_t$"}
    letters["output"] = "$O_t$"
    shown = [letters[part] for part in cells.PARTS[:number]]
    hidden = [letters[part] for part in cells.PARTS[number:]]
    pale = to_hex(cells.FADED_TYPE)
    assert pale not in colours(ax, *shown)
    assert colours(ax, *hidden) <= {pale}
    assert (pale in colours(ax, "$H_t$")) == (number < 4)


def test_each_gate_has_a_colour_of_its_own():
    assert len(set(cells.PART_COLOURS.values())) == len(cells.PART_COLOURS)


def test_an_unknown_part_is_refused(ax):
    with pytest.raises(ValueError, match=r"'reset'.*candidate, input, forget, output"):
        cells.lstm_cell(ax, ("reset",))


def test_the_reset_gate_acts_behind_the_product(ax):
    cells.gru_cell(ax)
    place = places(ax)
    (x, y) = place["$W_{hc}$"]
    products = [t.get_position() for t in ax.texts if t.get_text() == r"$\odot$"]
    (behind,) = [p for p in products if p[0] == x]
    assert behind[1] > y
    assert place[r"$\tanh$"][0] > x
    assert place[r"$\tanh$"][1] == behind[1]
