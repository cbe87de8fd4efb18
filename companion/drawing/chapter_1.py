"""The figure of chapter 1: how a stream is cut."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from companion.drawing.style import COLOURS, GREY, INK, bare


def stream(
    ax: Axes, tokens: Sequence[str], minibatch: Mapping[int, int], columns: int
) -> Axes:
    """Draw a stream of tokens, wrapped, coloured by the minibatch each token is in.

    Args:
        ax: Where to draw.
        tokens: The stream.
        minibatch: Position in the stream to the number of its minibatch, 0 ... 6.
            Positions that are missing stay white.
        columns: Tokens of a line.

    Returns:
        ``ax``.

    Raises:
        ValueError: If a minibatch has a number outside 0 ... 6.
    """
    wrong = sorted(set(minibatch.values()) - set(range(len(COLOURS))))
    if wrong:
        raise ValueError(f"minibatch numbers {wrong}; accepted: 0 ... 6")
    for position, token in enumerate(tokens):
        line, column = divmod(position, columns)
        number = minibatch.get(position)
        colour = "white" if number is None else COLOURS[number]
        cell = Rectangle(
            (column, -line), 1, 1, facecolor=colour, edgecolor="white", lw=2
        )
        ax.add_patch(cell)
        if number is None:
            cell.set(edgecolor=GREY, lw=1)
        ink = INK if number in (None, 1, 4, 6) else "white"
        shown = "␣" if token == " " else token
        ax.text(column + 0.5, 0.58 - line, shown, color=ink, ha="center", va="center")
        if number is not None:
            ax.text(
                column + 0.94, 0.05 - line, str(number), color=ink, ha="right", size=8
            )
    return bare(ax)
