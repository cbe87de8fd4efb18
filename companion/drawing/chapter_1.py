"""The figure of chapter 1: how a stream is cut."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from companion.drawing.style import COLOURS, GREY, INK, bare, contrast, written

BELOW = 0.55  # height of the numbers below a line, in cells


def stream(
    ax: Axes, tokens: Sequence[str], minibatch: Mapping[int, int], columns: int
) -> Axes:
    """Draw a stream of tokens, wrapped, coloured by the minibatch each token is in.

    Its number stands below the first of the tokens in a row that are in it.

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
    numbered = {position // columns for position in minibatch}
    for position, token in enumerate(tokens):
        line, column = divmod(position, columns)
        bottom = -line - BELOW * sum(row < line for row in numbered)
        number = minibatch.get(position)
        colour = "white" if number is None else COLOURS[number]
        cell = Rectangle(
            (column, bottom), 1, 1, facecolor=colour, edgecolor="white", lw=2
        )
        ax.add_patch(cell)
        if number is None:
            cell.set(edgecolor=GREY, lw=1)
        ink = max(INK, "white", key=lambda ink: contrast(ink, colour))
        shown = "␣" if token == " " else token
        middle = {"ha": "center", "va": "center"}
        ax.text(column + 0.5, bottom + 0.5, shown, color=ink, **middle)
        if number is not None and (not column or number != minibatch.get(position - 1)):
            ink = written(colour)
            ax.text(column + 0.5, bottom - 0.28, str(number), color=ink, **middle)
    return bare(ax)
