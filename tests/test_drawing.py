"""What the figures draw: read off matplotlib's objects, no pixel is compared."""

import io
import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from companion import drawing

MATRIX = [[0, 1, 0], [0.5, 0, 1]]

DRAWINGS = {
    "grid": lambda ax: drawing.grid(ax, MATRIX, "ab", "xyz"),
    "stream": lambda ax: drawing.stream(ax, "a tale", {0: 0, 1: 6}, 4),
    "unrolled": lambda ax: drawing.unrolled(ax, "tim", "ime"),
}


@pytest.fixture(autouse=True)
def _no_trace():
    """Put matplotlib's settings back, and let no test open a figure of pyplot's."""
    figures = plt.get_fignums()
    with mpl.rc_context():
        yield
    assert plt.get_fignums() == figures


@pytest.fixture
def ax():
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


def patches(ax, kind):
    return [patch for patch in ax.patches if type(patch) is kind]


def written(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_drawing_returns_its_axes_and_renders(draw, ax):
    settings = dict(mpl.rcParams)
    assert draw(ax) is ax
    assert dict(mpl.rcParams) == settings
    assert len(ax.figure.axes) == 1
    ax.figure.savefig(io.BytesIO(), format="png")


def test_the_style_enlarges_type_and_lines():
    mpl.rcdefaults()
    drawing.use_style()
    assert mpl.rcParams["font.size"] > mpl.rcParamsDefault["font.size"]
    assert mpl.rcParams["lines.linewidth"] > mpl.rcParamsDefault["lines.linewidth"]
    assert Figure().get_facecolor() == to_rgba("white")
    assert Figure().subplots().plot([0])[0].get_color() == drawing.COLOURS[0]


def test_the_colours_are_distinct():
    assert len({to_rgba(colour) for colour in drawing.COLOURS}) == 7


# grid


def test_a_grid_shows_the_values_with_the_first_row_on_top(ax):
    drawing.grid(ax, MATRIX, ["a", "b"], ["x", "y", "z"])
    (mesh,) = ax.collections
    assert np.array_equal(mesh.get_array(), MATRIX)
    assert ax.yaxis_inverted()
    assert not ax.xaxis_inverted()
    assert labels(ax.xaxis) == ["x", "y", "z"]
    assert labels(ax.yaxis) == ["a", "b"]
    assert ax.get_xticks().tolist() == [0.5, 1.5, 2.5]
    assert ax.get_yticks().tolist() == [0.5, 1.5]


def test_a_cell_of_a_grid_is_filled_in_proportion_to_its_value(ax):
    drawing.grid(ax, [[0, 0.5, 1]], "a", "xyz")
    ax.figure.draw_without_rendering()
    empty, half, full = np.array(ax.collections[0].get_facecolor())
    assert empty == pytest.approx(to_rgba("white"))
    assert full == pytest.approx(to_rgba(drawing.COLOURS[0]))
    assert half == pytest.approx((empty + full) / 2, abs=0.01)


def test_one_value_alone_is_filled_as_beside_others(ax):
    drawing.grid(ax, [[0.5]], "a", "x")
    ax.figure.draw_without_rendering()
    (face,) = ax.collections[0].get_facecolor()
    middle = (np.add(to_rgba("white"), to_rgba(drawing.COLOURS[0]))) / 2
    assert face == pytest.approx(middle, abs=0.01)


@pytest.mark.parametrize(
    ("values", "shape"),
    [([[0, 1], [1, 0]], "(2, 2)"), ([[0, 1, 0]], "(1, 3)"), ([0, 1, 0], "(3,)")],
)
def test_labels_that_do_not_fit_the_grid_are_refused(ax, values, shape):
    message = re.escape(f"values has shape {shape}; accepted: (2, 3)")
    with pytest.raises(ValueError, match=message):
        drawing.grid(ax, values, "ab", "xyz")


# stream


def test_a_stream_has_a_cell_for_each_token_coloured_by_its_minibatch(ax):
    drawing.stream(ax, "a tale", {0: 0, 1: 0, 3: 6}, columns=4)
    cells = patches(ax, Rectangle)
    faces = [cell.get_facecolor() for cell in cells]
    first, last, white = map(to_rgba, (*drawing.COLOURS[:7:6], "white"))
    assert faces == [first, first, white, last, white, white]
    assert [cell.get_xy() for cell in cells] == [
        (0, 0), (1, 0), (2, 0), (3, 0), (0, -1.55), (1, -1.55)
    ]  # fmt: skip
    assert sorted(written(ax)) == sorted(["a", "␣", "t", "a", "l", "e", "0", "6"])


def test_what_is_written_stands_in_its_cell_and_numbers_stand_below(ax):
    tokens = "abcdefgh"
    drawing.stream(ax, tokens, {i: i for i in range(7)}, columns=3)
    cells = patches(ax, Rectangle)
    for text in ax.texts:
        token = text.get_text()
        position = int(token) if token.isdigit() else tokens.index(token)
        x, y = cells[position].get_xy()
        assert x < text.get_position()[0] < x + 1
        assert y - token.isdigit() < text.get_position()[1] < y + (not token.isdigit())


def test_a_number_stands_below_the_first_of_each_row_and_of_each_run(ax):
    drawing.stream(ax, "abcdefgh", {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 7: 1}, columns=4)
    numbers = [t for t in ax.texts if t.get_text().isdigit()]
    found = [(n.get_text(), n.get_position()[0]) for n in numbers]
    assert found == [("0", 1.5), ("1", 0.5), ("1", 3.5)]


def test_a_stream_fits_the_axes_that_are_hidden(ax):
    drawing.stream(ax, "abcdefgh", {}, columns=3)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left <= 0
    assert right >= 3
    assert bottom <= -2
    assert top >= 1
    assert not ax.axison
    assert len(written(ax)) == 8


# unrolled


@pytest.mark.parametrize(("inputs", "outputs"), [("t", "i"), ("time", "ime ")])
def test_the_unrolled_network_has_one_cell_a_step(ax, inputs, outputs):
    drawing.unrolled(ax, inputs, outputs)
    steps = len(inputs)
    assert len(patches(ax, FancyBboxPatch)) == 3 + 3 * steps + 1  # folded, steps, H_0
    assert len(patches(ax, FancyArrowPatch)) == 3 + 3 * steps
    words = written(ax)
    assert words.count("$W_{xh}$") == words.count("$W_{hq}$") == 1 + steps
    assert words.count("$W_{hh}$") == 1 + steps
    assert {"$H_0$", *(f"$H_{{{t}}}$" for t in range(1, steps + 1))} <= set(words)
    for char in [*inputs, *outputs]:
        assert words.count(char) == [*inputs, *outputs].count(char)


def test_inputs_and_outputs_of_the_unrolled_network_run_from_left_to_right(ax):
    drawing.unrolled(ax, "abc", "xyz")
    place = {text.get_text(): text.get_position() for text in ax.texts}
    for below, above in zip("abc", "xyz", strict=True):
        assert place[below][0] == place[above][0]
        assert place[below][1] < place[above][1]
    assert place["a"][0] < place["b"][0] < place["c"][0]


def test_as_many_inputs_as_outputs_are_asked_for(ax):
    with pytest.raises(ValueError, match="3 inputs, 2 outputs; accepted"):
        drawing.unrolled(ax, "abc", "xy")


# baselines, dots, layers_and_steps, flow

BOXES = [("X", "(N, T)"), ("one-hot", "(T, N, V)"), ("outputs", "(T, N, H)")]
MORE_DRAWINGS = {
    "baselines": lambda ax: drawing.baselines(ax, {"unigrams": 2.8, "uniform": 3.3}),
    "dots": lambda ax: drawing.dots(ax, {"RNN": [3, 4], "LSTM": [2.5]}),
    "layers_and_steps": lambda ax: drawing.layers_and_steps(ax, 2, 4),
    "flow": lambda ax: drawing.flow(ax, BOXES, ["transpose", "read"]),
}


@pytest.mark.parametrize("draw", MORE_DRAWINGS.values(), ids=MORE_DRAWINGS)
def test_each_of_these_returns_its_axes_and_renders_too(draw, ax):
    test_a_drawing_returns_its_axes_and_renders(draw, ax)


def test_baselines_are_dotted_lines_across_with_their_names_at_the_right_end(ax):
    ax.plot([0, 10], [1, 5])
    limits = ax.get_xlim()
    drawing.baselines(ax, {"unigrams": 2.8, "uniform": 3.3})
    assert ax.get_xlim() == limits
    assert written(ax) == ["unigrams", "uniform"]
    for line, text, score in zip(ax.lines[1:], ax.texts, [2.8, 3.3], strict=True):
        assert set(line.get_ydata()) == {score}
        assert list(line.get_xdata()) == [0, 1]  # of the width of the axes
        assert line.get_linestyle() == ":"
        assert text.xy[1] == score
        box = text.get_window_extent(ax.figure.canvas.get_renderer())
        (left, bottom), (right, _) = ax.transAxes.inverted().transform(box)
        assert 0.5 < left < right <= 1
        assert ax.transData.inverted().transform(box)[0][1] >= score
        assert 0 < bottom < 1


def test_no_baseline_draws_nothing(ax):
    drawing.baselines(ax, {})
    assert not ax.lines
    assert not written(ax)


def test_dots_are_the_runs_around_their_group_and_a_line_is_their_mean(ax):
    groups = {"RNN": [4, 3, 8], "GRU": [1], "LSTM": [2, 2.5]}
    drawing.dots(ax, groups)
    assert labels(ax.xaxis) == list(groups)
    assert ax.get_xticks().tolist() == [0, 1, 2]
    for x, (runs, dots, line) in enumerate(
        zip(groups.values(), ax.lines, ax.collections, strict=True)
    ):
        assert dots.get_ydata().tolist() == runs
        assert len(set(dots.get_xdata())) == len(runs)  # so that none hides another
        assert np.abs(dots.get_xdata() - x).max() < 0.2
        assert dots.get_xdata().mean() == pytest.approx(x)
        assert dots.get_linestyle() == "None"
        ((left, mean), (right, also_mean)) = line.get_segments()[0]
        assert mean == also_mean == pytest.approx(np.mean(runs))
        assert (left + right) / 2 == pytest.approx(x)
        assert right - left < 1


@pytest.mark.parametrize(("layers", "steps"), [(1, 1), (2, 4), (3, 2)])
def test_a_stack_has_a_named_cell_for_each_layer_and_step(ax, layers, steps):
    drawing.layers_and_steps(ax, layers, steps)
    place = {text.get_text(): text.get_position() for text in ax.texts}
    for level in range(layers):
        for t in range(steps):
            # Layers from the bottom up, steps from left to right.
            name = f"$h_{{{t + 1}}}^{{({level + 1})}}$"
            assert place.pop(name) == (t + 0.5, level + 0.5)
    assert {"output", "h_n"} == place.keys() - {""}
    arrows = [text for text in ax.texts if not text.get_text()]
    assert len(arrows) == layers * (steps - 1) + (layers - 1) * steps
    assert not ax.axison


@pytest.mark.parametrize(("layers", "steps"), [(1, 1), (2, 4), (3, 2)])
def test_the_output_is_the_top_row_and_the_last_state_the_last_column(
    ax, layers, steps
):
    drawing.layers_and_steps(ax, layers, steps)
    cells = [patch for patch in patches(ax, Rectangle) if patch.get_fill()]
    frames = [patch for patch in patches(ax, Rectangle) if not patch.get_fill()]
    assert len(cells) == layers * steps

    def inside(frame):
        (x, y), width, height = frame.get_xy(), frame.get_width(), frame.get_height()
        middles = ((c.get_x() + 0.38, c.get_y() + 0.38) for c in cells)
        return {
            (round(a - 0.5), round(b - 0.5))
            for a, b in middles
            if x < a < x + width and y < b < y + height
        }

    output, last = frames
    assert inside(output) == {(t, layers - 1) for t in range(steps)}
    assert inside(last) == {(steps - 1, level) for level in range(layers)}
    colours = {text.get_text(): to_rgba(text.get_color()) for text in ax.texts}
    for frame, name in ((output, "output"), (last, "h_n")):
        assert to_rgba(drawing.written(frame.get_edgecolor())) == colours[name]


def test_a_flow_runs_downwards_each_box_with_its_name_and_shape(ax):
    drawing.flow(ax, BOXES, ["transpose", "read"])
    boxes = patches(ax, FancyBboxPatch)
    place = {text.get_text(): text.get_position() for text in ax.texts}
    heights = []
    for box, (name, shape) in zip(boxes, BOXES, strict=True):
        left, bottom = box.get_x(), box.get_y()
        right, top = left + box.get_width(), bottom + box.get_height()
        assert left < place[name][0] < place[shape][0] < right
        assert bottom < place[name][1] == place[shape][1] < top
        heights.append(bottom)
    assert heights == sorted(heights, reverse=True)
    for step, above, below in zip(
        ["transpose", "read"], heights, heights[1:], strict=False
    ):
        assert below < place[step][1] < above
    assert not ax.axison


def test_columns_of_a_flow_stand_beside_each_other(ax):
    for column in range(3):
        drawing.flow(ax, [("a", "b")], [], column)
    boxes = patches(ax, FancyBboxPatch)
    for one, other in itertools.pairwise(boxes):
        assert one.get_x() + one.get_width() < other.get_x()
        assert one.get_y() == other.get_y()
        assert one.get_facecolor() != other.get_facecolor()


@pytest.mark.parametrize(("boxes", "steps"), [(3, 3), (3, 1), (1, 1), (0, 0)], ids=str)
def test_one_step_fewer_than_boxes_is_asked_for(ax, boxes, steps):
    with pytest.raises(ValueError, match=f"{boxes} boxes and {steps} steps; accepted"):
        drawing.flow(ax, [("X", "(N, T)")] * boxes, ["read"] * steps)


@pytest.mark.parametrize("steps", [1, 3])
def test_gradients_run_against_the_values_and_arrive_at_each_state(ax, steps):
    assert drawing.backward_paths(ax, steps) is ax
    written_ = [text.get_text() for text in ax.texts if text.get_text()]
    for t in range(1, steps + 1):
        for symbol in (f"h_{{{t}}}", rf"\ell_{{{t}}}", rf"\delta_{{{t}}}"):
            assert f"${symbol}$" in written_
    arrows = [
        (text.arrow_patch.get_edgecolor(), *text.xyann, *text.xy)
        for text in ax.texts
        if not text.get_text()
    ]
    assert len(arrows) == 4 * steps
    forward, back = arrows[::2], arrows[1::2]
    for (grey, *there), (orange, *back_again) in zip(forward, back, strict=True):
        assert grey != orange
        # The same way, the other way round.
        dx, dy = there[2] - there[0], there[3] - there[1]
        assert dx == pytest.approx(back_again[0] - back_again[2])
        assert dy == pytest.approx(back_again[1] - back_again[3])
        assert dx > 0 or dy > 0
    ax.figure.canvas.draw()


def test_a_network_of_no_steps_is_refused(ax):
    with pytest.raises(ValueError, match="steps is 0; accepted: 1 or more"):
        drawing.backward_paths(ax, 0)


@pytest.mark.parametrize("carried", [True, False])
def test_the_state_crosses_a_border_and_the_gradient_does_not(ax, carried):
    assert drawing.borders(ax, 3, carried=carried) is ax
    assert len(patches(ax, FancyBboxPatch)) == 3
    said = written(ax)
    assert said.count("values") == (2 if carried else 0)
    assert said.count("zeros") == (1 if carried else 3)
    assert said.count("gradient") == 3
    places = [box.get_x() for box in patches(ax, FancyBboxPatch)]
    red = [a for a in ax.texts if getattr(a, "xyann", (0, 0))[1] < 0]
    assert [a.xy[0] for a in red] == places


def test_a_row_of_no_minibatches_is_refused(ax):
    with pytest.raises(ValueError, match="count is 0; accepted: 1 or more"):
        drawing.borders(ax, 0, carried=True)


def test_messages_inside_of_a_window_are_coloured_and_the_others_grey(ax):
    sizes = [[1, 9, 9], [0.1, 1, 9], [0.01, 0.1, 1]]
    assert drawing.messages(ax, sizes, 2) is ax
    kept, cut = (mesh.get_array().reshape(3, 3) for mesh in ax.collections)
    assert np.isnan(kept.filled(np.nan)).tolist() == [
        [False, True, True],
        [False, False, True],
        [True, True, False],
    ]
    assert kept[1, 0] == 0.1
    assert np.ma.compressed(np.ma.masked_invalid(cut)).tolist() == [0.01, 0.1]
    grey, orange = (mesh.get_cmap()(1.0)[:3] for mesh in reversed(ax.collections))
    assert max(grey) - min(grey) < 0.01
    assert max(orange) - min(orange) > 0.5
    assert list(ax.get_xticks()) == [1, 2]


@pytest.mark.parametrize(
    ("sizes", "window", "message"),
    [
        ([[1, 2]], 2, r"sizes has shape \(1, 2\); accepted: \(T, T\)"),
        ([1, 2], 2, r"sizes has shape \(2,\)"),
        ([[1]], 0, "window is 0; accepted: 1 or more"),
    ],
)
def test_messages_of_another_shape_or_window_are_refused(ax, sizes, window, message):
    with pytest.raises(ValueError, match=message):
        drawing.messages(ax, sizes, window)


def test_surprisals_are_bars_and_a_line_over_their_tokens(ax):
    assert drawing.surprisal(ax, "a b", [1, 2, 3], [3, 2, 1], 2.5) is ax
    assert [bar.get_height() for bar in patches(ax, Rectangle)] == [1, 2, 3]
    line, level = ax.lines
    assert list(line.get_ydata()) == [3, 2, 1]
    assert list(level.get_ydata()) == [2.5, 2.5]
    assert labels(ax.xaxis) == ["a", "␣", "b"]
    with pytest.raises(ValueError, match="3 tokens, 2 bars, 3 points"):
        drawing.surprisal(ax, "a b", [1, 2], [3, 2, 1], 2.5)


@pytest.mark.parametrize("median", [False, True])
def test_runs_with_several_seeds_are_a_curve_in_a_band(ax, median):
    runs = [[1, 2, 3], [1, 4, 8], [1, 3, 4]]
    assert drawing.seeds(ax, [0, 1, 2], runs, "LSTM", median=median, lw=1) is ax
    (line,), (band,) = ax.lines, ax.collections
    assert line.get_ydata().tolist() == [1, 3, 4 if median else 5]
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(1, 2), (1, 4), (2, 3), (2, 8)} <= corners
    assert line.get_label() == "LSTM"
    assert line.get_color() == drawing.colour("LSTM")
    assert line.get_linewidth() == 1
    assert drawing.seeds(ax, [0], [[1]], "GRU", label="b").lines[1].get_label() == "b"


def test_runs_of_another_length_are_refused(ax):
    for runs in ([[1, 2]], [1, 2, 3]):
        with pytest.raises(ValueError, match=r"accepted: \(seeds, 3\)"):
            drawing.seeds(ax, [0, 1, 2], runs, "LSTM")
