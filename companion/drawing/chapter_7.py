"""The figures of chapter 7: paths back, and what each message weighs."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from companion.drawing.style import INK, PALE, bare, colour


def backward_paths(ax: Axes, steps: int) -> Axes:
    """Draw an unrolled network with the ways of its values and of its gradients.

    Args:
        ax: Where to draw.
        steps: T, states drawn.

    Returns:
        ``ax``.

    Raises:
        ValueError: If ``steps`` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; accepted: 1 or more")

    def arrow(start, end, hue) -> None:
        ax.annotate(
            "",
            end,
            start,
            arrowprops={"arrowstyle": "-|>", "color": hue, "linewidth": 1.8},
        )

    def circle(x, y, text, ground) -> None:
        ax.add_patch(Circle((x, y), 0.44, facecolor=ground, edgecolor=INK, lw=1.2))
        ax.text(x, y, text, ha="center", va="center", color=INK)

    back, reach = colour("gradient"), 3.5  # from state to state: the error's name fits
    circle(0, 0, "$h_0$", "white")
    for t in range(1, steps + 1):
        x = reach * t
        circle(x, 0, f"$h_{{{t}}}$", PALE["state"])
        circle(x, 2.9, rf"$\ell_{{{t}}}$", PALE["output"])
        arrow((x - 0.14, 0.46), (x - 0.14, 2.44), "#888888")
        arrow((x + 0.14, 2.44), (x + 0.14, 0.46), back)
        error = rf"$V^\top\!(\hat y_{{{t}}} - y_{{{t}}})$"
        ax.text(x + 0.3, 1.45, error, color=back, va="center")
        arrow((x - reach + 0.46, 0.14), (x - 0.46, 0.14), "#888888")
        arrow((x - 0.46, -0.14), (x - reach + 0.46, -0.14), back)
        label = rf"$W^\top\!\varepsilon_{{{t}}}$"
        ax.text(x - reach / 2, -0.65, label, color=back, ha="center", va="center")
        ax.text(x, -0.8, rf"$\delta_{{{t}}}$", color=back, ha="center", va="center")
    bare(ax)
    ax.set(xlim=(-0.5, reach * steps + 3.2), ylim=(-1.2, 3.4))
    return ax


def messages(ax: Axes, sizes: Sequence[Sequence[float]], window: int) -> Axes:
    """Draw what the loss of each step says to the states before it, and what is cut.

    Args:
        ax: Where to draw.
        sizes: Shape ``(T, T)``: row t, column s, the size of the derivative of the loss
            of step t with respect to the state of step s. Entries with s > t are left
            out; the scale is logarithmic, from 0.0001 (white) to 1.
        window: Steps between two cuts. What stays inside of a window is drawn in
            colour, the rest in grey.

    Returns:
        ``ax``; its first collection has the colours of the scale.

    Raises:
        ValueError: If ``sizes`` is not square or ``window`` is below 1.
    """
    values = np.asarray(sizes, dtype=float)
    if values.ndim != 2 or len(set(values.shape)) != 1:
        raise ValueError(f"sizes has shape {values.shape}; accepted: (T, T)")
    if window < 1:
        raise ValueError(f"window is {window}; accepted: 1 or more")
    T = len(values)
    step = np.arange(T)
    kept = step[:, None] // window == step // window
    edges = np.arange(T + 1) + 0.5
    for hue, part in ((colour("gradient"), kept), (INK, ~kept)):
        ax.pcolormesh(
            edges,
            edges,
            np.where(part & (step <= step[:, None]), values, np.nan),
            cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", hue]),
            norm=mpl.colors.LogNorm(1e-4, 1),
        )
    ticks = [1, *range(window, T + 1, window)]
    ax.set(aspect="equal", xlabel="state $s$", ylabel="loss $t$")
    ax.set(xticks=ticks, yticks=ticks)
    ax.grid(visible=False)
    return ax
