"""The figure of the page on shapes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from companion.drawing.style import INK, PALE, RED, bare, written


def flow(
    ax: Axes, boxes: Sequence[tuple[str, str]], steps: Sequence[str], column: int = 0
) -> Axes:
    """Draw a column of boxes, each with a name and a shape, joined by named steps.

    Args:
        ax: Where to draw.
        boxes: Name and shape of each tensor, from top to bottom.
        steps: What turns each box into the next, one fewer than boxes.
        column: Number of the column, counted from the left.

    Returns:
        ``ax``.

    Raises:
        ValueError: If there is not one step fewer than boxes.
    """
    if len(steps) != len(boxes) - 1:
        raise ValueError(
            f"{len(boxes)} boxes and {len(steps)} steps; accepted: one step fewer"
        )
    x = 5.2 * column
    for row, (name, shape) in enumerate(boxes):
        y = -1.5 * row
        ax.add_patch(
            FancyBboxPatch(
                (x, y),
                4.7,
                0.7,
                boxstyle="round,pad=0.08",
                facecolor=PALE[("input", "state")[column % 2]],
                edgecolor=INK,
                linewidth=1.2,
            )
        )
        ax.text(x + 0.1, y + 0.35, name, va="center")
        ax.text(x + 4.6, y + 0.35, shape, va="center", ha="right", family="monospace")
        if row:
            ax.annotate(
                "",
                (x + 0.4, y + 0.8),
                (x + 0.4, y + 1.4),
                arrowprops={"arrowstyle": "-|>", "facecolor": INK},
            )
            label = steps[row - 1]
            ax.text(x + 0.6, y + 1.1, label, va="center", color=written(RED))
    return bare(ax)
