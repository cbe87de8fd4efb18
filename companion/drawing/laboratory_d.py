"""The figure of laboratory D: a tree of prefixes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Circle

from companion.drawing.style import GREY, INK, PALE, bare


def prefixes(ax: Axes, names: Sequence[str]) -> Axes:
    """Draw the prefix tree of names: one dot a prefix, thick edges where names end.

    Args:
        ax: Where to draw.
        names: At least one.

    Returns:
        ``ax``.

    Raises:
        ValueError: If there is no name, or an empty one.
    """
    if not all(names) or not names:
        raise ValueError(f"names are {list(names)}; accepted: not empty, at least one")
    found = sorted({name[:n] for name in names for n in range(1, len(name) + 1)})
    place: dict[str, tuple[float, float]] = {"": (0.0, 0.0)}
    leaves = [p for p in found if not any(q[:-1] == p for q in found)]
    for row, leaf in enumerate(leaves):
        place[leaf] = (len(leaf), -row)
    for prefix in sorted({p[:-1] for p in found}, key=len, reverse=True):
        below = [place[q][1] for q in found if q[:-1] == prefix]
        place[prefix] = (len(prefix), sum(below) / len(below))
    for prefix in found:
        (x, y), (parent_x, parent_y) = place[prefix], place[prefix[:-1]]
        ax.plot([parent_x, x], [parent_y, y], color=GREY, linewidth=1.5, zorder=1)
        ends = prefix in names
        ax.add_patch(
            Circle(
                (x, y),
                0.34,
                facecolor=PALE["output" if ends else "state"],
                edgecolor=INK,
                linewidth=3 if ends else 1,
                zorder=2,
            )
        )
        ax.text(x, y, prefix[-1], ha="center", va="center", zorder=3)
    ax.add_patch(Circle(place[""], 0.12, facecolor=INK, zorder=2))
    return bare(ax)
