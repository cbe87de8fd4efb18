"""The figure of chapter 5: layers and steps."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from companion.drawing.style import BLUE, RED, bare, written


def layers_and_steps(ax: Axes, layers: int, steps: int) -> Axes:
    """Draw the states of a stack as a grid, and frame what a recurrent layer returns.

    Args:
        ax: Where to draw.
        layers: L, rows of the grid, the first at the bottom.
        steps: T, columns.

    Returns:
        ``ax``.
    """
    for level in range(layers):
        for t in range(steps):
            ax.add_patch(
                Rectangle((t + 0.12, level + 0.12), 0.76, 0.76, facecolor="#F3F3F3")
            )
            name = f"$h_{{{t + 1}}}^{{({level + 1})}}$"
            ax.text(t + 0.5, level + 0.5, name, ha="center", va="center", fontsize=17)
            if t:
                tail, head = (t - 0.12, level + 0.5), (t + 0.12, level + 0.5)
                ax.annotate("", head, tail, arrowprops={"arrowstyle": "->"})
            if level:
                tail, head = (t + 0.5, level - 0.12), (t + 0.5, level + 0.12)
                ax.annotate("", head, tail, arrowprops={"arrowstyle": "->"})
    frames = (
        ((0.03, layers - 0.97), steps - 0.06, 0.94, BLUE),
        ((steps - 0.93, 0.07), 0.86, layers - 0.14, RED),
    )
    for corner, width, height, colour in frames:
        ax.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=3)
        )
    ax.text(-0.1, layers - 0.5, "output", ha="right", va="center", color=BLUE)
    ax.text(
        steps + 0.1,
        0.5,
        r"h_n",
        ha="left",
        va="center",
        color=written(RED),
        weight="bold",
    )
    return bare(ax)
