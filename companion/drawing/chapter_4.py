"""The figure of chapter 4: what passes a border between minibatches."""

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from companion.drawing.style import INK, PALE, bare, colour, written


def borders(ax: Axes, count: int, *, carried: bool) -> Axes:
    """Draw minibatches in a row, with what crosses the borders between them.

    Args:
        ax: Where to draw.
        count: Minibatches.
        carried: Whether each begins with the values of the state in which the one
            before it ended; otherwise each begins with zeros.

    Returns:
        ``ax``.

    Raises:
        ValueError: If ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}; accepted: 1 or more")
    red = colour("gradient")
    for k in range(count):
        x = 3.2 * k
        ax.add_patch(
            FancyBboxPatch(
                (x, 0),
                2,
                0.8,
                boxstyle="round,pad=0.06",
                facecolor=PALE["input"],
                edgecolor=INK,
            )
        )
        ax.text(x + 1, 0.4, f"minibatch {k + 1}", ha="center", va="center")
        handed_on = carried and k > 0
        tail = (x - 1.1, 0.4) if handed_on else (x - 0.5, 0.4)
        style = {"arrowstyle": "-|>", "color": INK}
        ax.annotate("", (x - 0.04, 0.4), tail, arrowprops=style)
        name = "values" if handed_on else "zeros"
        ax.text(x - 0.6, 0.58, name, ha="center")
        style = {"arrowstyle": "-|>", "color": red, "linewidth": 1.8}
        ax.annotate("", (x, -0.32), (x + 2, -0.32), arrowprops=style)
        ax.text(x + 1, -0.82, "gradient", ha="center", color=written(red))
    bare(ax)
    ax.set(xlim=(-1.1, 3.2 * count - 1), ylim=(-0.95, 1.15))
    return ax
