"""What the drawings of the pages on names show: read off matplotlib's objects."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from companion import drawing


@pytest.fixture
def ax():
    return Figure().subplots()


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_a_padded_minibatch_shows_each_character_and_how_many_are_read(ax):
    names = ["Ivanov", "Abe", "Lee", "O"]
    drawing.packed(ax, names)
    characters = [text for text in ax.texts if text.get_text() in "IvanoAbeLO"]
    for row, name in enumerate(names):
        here = [t for t in characters if t.get_position()[1] == 0.5 - row]
        here.sort(key=lambda text: text.get_position()[0])
        assert "".join(text.get_text() for text in here) == name
        assert [text.get_position()[0] for text in here] == [
            t + 0.5 for t in range(len(name))
        ]
    read = [text.get_text() for text in ax.texts if text.get_text().isdigit()]
    assert read == ["4", "3", "3", "1", "1", "1"]
    assert len(ax.patches) == 4 * 6
    assert sum(bool(patch.get_hatch()) for patch in ax.patches) == 4 * 6 - 13
    assert not ax.axison


@pytest.mark.parametrize("names", [[], ["Abe", "Ivanov"]])
def test_a_minibatch_that_is_not_longest_first_is_refused(ax, names):
    with pytest.raises(ValueError, match="accepted: longest first"):
        drawing.packed(ax, names)


def test_shares_of_right_answers_carry_their_intervals(ax):
    counts, promised, right = [10, 90, 100], [4, 72.0, 95.0], [5, 81, 100]
    assert drawing.reliability(ax, counts, promised, right) is ax
    diagonal, dots = ax.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert dots.get_xdata() == pytest.approx([0.8, 0.95])  # ten are too few
    assert dots.get_ydata() == pytest.approx([0.9, 1])
    (bars,) = ax.collections
    ends = np.array(bars.get_segments())
    assert ends[:, :, 0] == pytest.approx(np.array([[0.8] * 2, [0.95] * 2]))
    # Wilson's interval: the shares p from which what was seen is z standard errors off.
    for (low, high), n, share in zip(ends[:, :, 1], (90, 100), (0.9, 1), strict=True):
        for p in (low, high) if share < 1 else (low,):
            off = abs(share - p) / np.sqrt(p * (1 - p) / n)
            assert off == pytest.approx(1.96, abs=1e-4)
        assert low < share <= high + 1e-12 <= 1 + 1e-9
    ax.figure.draw_without_rendering()
    assert labels(ax.xaxis) == labels(ax.yaxis) == ["0", "0.5", "1"]


def test_smaller_groups_are_drawn_when_asked_for(ax):
    drawing.reliability(ax, [1, 0, 30], [0.5, 0, 15], [1, 0, 15], least=1)
    assert len(ax.lines[1].get_xdata()) == 2


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (([1], [1, 2], [1]), r"shapes are \(1,\), \(2,\), \(1,\); accepted: one"),
        (([[1]], [[1]], [[1]]), r"shapes are \(1, 1\), .* accepted: one \(groups,\)"),
        (([2], [1], [3]), r"right is \[3.\] of \[2.\]; accepted: at most counts"),
    ],
)
def test_answers_that_cannot_be_counted_so_are_refused(ax, groups, message):
    with pytest.raises(ValueError, match=message):
        drawing.reliability(ax, *groups)


def test_a_prefix_tree_has_a_dot_for_each_prefix_below_its_parent(ax):
    names = ["ab", "abc", "abz", "x"]
    drawing.prefixes(ax, names)
    dots = [patch for patch in ax.patches if patch.get_radius() > 0.2]
    letters = [text.get_text() for text in ax.texts]
    assert letters == ["a", "b", "c", "z", "x"]  # a, ab, abc, abz, x
    assert len(dots) == 5
    assert len(ax.lines) == 5
    thick = [dot.get_linewidth() > 2 for dot in dots]
    assert thick == [False, True, True, True, True]  # only "a" is no whole name
    looks = {(dot.get_linewidth(), dot.get_facecolor()) for dot in dots}
    assert len(looks) == 2
    depth = [dot.center[0] for dot in dots]
    assert depth == [1, 2, 3, 3, 1]
    for line in ax.lines:
        left, right = line.get_xdata()
        assert right == left + 1
    assert len({tuple(dot.center) for dot in dots}) == 5
    assert not ax.axison


@pytest.mark.parametrize("names", [[], ["ab", ""]])
def test_a_tree_of_nothing_is_refused(ax, names):
    with pytest.raises(ValueError, match="accepted: not empty, at least one"):
        drawing.prefixes(ax, names)
