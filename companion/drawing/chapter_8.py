"""The figure of chapter 8: a packed minibatch."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from companion.drawing.style import COLOURS, GREY, bare


def packed(ax: Axes, names: Sequence[str]) -> Axes:
    """Draw a padded minibatch of names, and how many of them each time step reads.

    Args:
        ax: Where to draw.
        names: One a row, in the order of packing: longest first.

    Returns:
        ``ax``.

    Raises:
        ValueError: If there is no name, or a longer one stands below a shorter one.
    """
    lengths = [len(name) for name in names]
    if not names or lengths != sorted(lengths, reverse=True):
        raise ValueError(f"names have lengths {lengths}; accepted: longest first")
    for row, name in enumerate(names):
        for t in range(lengths[0]):
            inside = t < len(name)
            ax.add_patch(
                Rectangle(
                    (t + 0.05, -row + 0.05),
                    0.9,
                    0.9,
                    facecolor="#DCEBF5" if inside else "white",
                    edgecolor=GREY if inside else "#E5E5E5",
                    hatch="" if inside else "////",
                )
            )
            if inside:
                ax.text(t + 0.5, 0.5 - row, name[t], ha="center", va="center")
    bottom = 0.5 - len(names) - 0.2
    for t in range(lengths[0]):
        read = sum(length > t for length in lengths)
        ax.text(t + 0.5, bottom, str(read), ha="center", va="center", color=COLOURS[5])
    ax.text(-0.2, bottom, "read", ha="right", va="center", color=COLOURS[5])
    return bare(ax)
