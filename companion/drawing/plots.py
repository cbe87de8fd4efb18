"""Plots that several pages draw."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from companion.drawing.style import BLUE, DIM, GREY, INK, SHADES, colour, curve


def grid(
    ax: Axes,
    values: Sequence[Sequence[float]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
) -> Axes:
    """Draw a matrix of zeros and ones as a grid of filled and empty cells.

    Args:
        ax: Where to draw.
        values: Shape ``(rows, columns)``; a cell is filled in proportion to its value.
        row_labels: One label a row, written on the left.
        column_labels: One label a column, written on top.

    Returns:
        ``ax``.

    Raises:
        ValueError: If the labels do not fit the shape of ``values``.
    """
    values = np.asarray(values)
    if values.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values has shape {values.shape}; accepted: "
            f"({len(row_labels)}, {len(column_labels)}), as the labels say"
        )
    ax.pcolormesh(
        values,
        cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", BLUE]),
        edgecolors=GREY,
        linewidth=0.6,
        vmin=0,
        vmax=1,
    )
    ax.invert_yaxis()
    ax.set_aspect("equal")
    ax.grid(False)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.set_xticks(np.arange(values.shape[1]) + 0.5, column_labels)
    ax.set_yticks(np.arange(values.shape[0]) + 0.5, row_labels)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def baselines(ax: Axes, scores: Mapping[str, float], side: str = "right") -> Axes:
    """Draw scores to beat as dotted lines, each with its name above an end.

    Args:
        ax: Where to draw, other curves first: the limits of x stay as they are.
        scores: Name to score.
        side: The end with the names: ``"left"`` or ``"right"``.

    Returns:
        ``ax``.
    """
    for name, score in scores.items():
        ax.axhline(score, color=DIM, linestyle=":", linewidth=1.8)
        ax.annotate(
            name,
            (0.99 if side == "right" else 0.01, score),
            (0, 1),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            ha=side,
            va="bottom",
            color=DIM,
        )
    return ax


def dots(ax: Axes, groups: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the runs of each group as dots and their mean as a short line.

    Args:
        ax: Where to draw.
        groups: Name of a group, written below it, to the scores of its runs.

    Returns:
        ``ax``.
    """
    for x, values in enumerate(groups.values()):
        values = np.asarray(values, dtype=float)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
        ax.plot(x + np.asarray(spread), values, "o", color=BLUE, markersize=6)
        ax.hlines(values.mean(), x - 0.3, x + 0.3, color=INK)
    ax.set_xticks(range(len(groups)), groups)
    ax.grid(axis="x", visible=False)
    return ax


def surprisal(
    ax: Axes,
    tokens: Sequence[str],
    network: Sequence[float],
    counts: Sequence[float],
    level: float,
) -> Axes:
    """Draw the surprisal of each token of a line of text: bars and a line.

    Args:
        ax: Where to draw.
        tokens: The text, written below.
        network: Surprisal of each token by a network, nats: the bars.
        counts: The same by a model that counts: the line.
        level: Surprisal by a uniform guess, a dotted line.

    Returns:
        ``ax``.

    Raises:
        ValueError: If there are not as many numbers as tokens.
    """
    if not len(tokens) == len(network) == len(counts):
        raise ValueError(
            f"{len(tokens)} tokens, {len(network)} bars, {len(counts)} points; "
            "accepted: as many of each"
        )
    at = np.arange(len(tokens))
    ax.bar(at, network, color=SHADES[0], label="network")
    look = {"color": colour("counts"), "linewidth": 2, "label": "counts"}
    ax.step(at, counts, where="mid", **look)
    ax.axhline(level, color=DIM, linestyle=":", linewidth=1.8)
    ax.set_xticks(at, ["␣" if token == " " else token for token in tokens])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.margins(x=0.01)
    ax.set_ylabel("surprisal (nats)")
    return ax


def seeds(
    ax: Axes,
    x: Sequence[float],
    runs: Sequence[Sequence[float]],
    thing: str,
    *,
    median: bool = False,
    **changes: object,
) -> Axes:
    """Draw runs with several seeds: a curve, and a band from smallest to largest.

    Args:
        ax: Where to draw.
        x: Where the runs were measured.
        runs: Shape ``(seeds, len(x))``.
        thing: What it is, a key of ``MEANINGS``; also the curve's label.
        median: Whether the curve is the runs' median instead of their mean.
        changes: Options of ``Axes.plot`` that go before the look of the thing.

    Returns:
        ``ax``.

    Raises:
        ValueError: If ``runs`` has another shape, or the thing no look.
    """
    values = np.asarray(runs, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(x):
        raise ValueError(f"runs has shape {values.shape}; accepted: (seeds, {len(x)})")
    look = {"label": thing} | curve(thing) | changes
    middle = np.median(values, axis=0) if median else values.mean(axis=0)
    ax.plot(x, middle, **look)
    ends = values.min(axis=0), values.max(axis=0)
    ax.fill_between(x, *ends, color=look["color"], alpha=0.25, linewidth=0)
    return ax
