"""The figure of chapter 2: a network unrolled."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from companion.drawing.style import INK, PALE, bare


def unrolled(ax: Axes, inputs: Sequence[str], outputs: Sequence[str]) -> Axes:
    """Draw one recurrent cell, and the same cell unrolled over the inputs.

    The boxes hold the network's own tensors; what is read and what would be the right
    prediction is written below and above them.

    Args:
        ax: Where to draw.
        inputs: What is read at each step.
        outputs: What is to be predicted at each step: the targets of the outputs.

    Returns:
        ``ax``.

    Raises:
        ValueError: If ``inputs`` and ``outputs`` differ in length.
    """
    if len(inputs) != len(outputs):
        raise ValueError(
            f"{len(inputs)} inputs, {len(outputs)} outputs; accepted: as many of each"
        )

    def box(x: float, y: float, text: str, colour: str) -> None:
        ax.add_patch(
            FancyBboxPatch(
                (x - 0.42, y - 0.36),
                0.84,
                0.72,
                boxstyle="round,pad=0.06",
                facecolor=colour,
                edgecolor=INK,
                linewidth=1.2,
            )
        )
        ax.text(x, y, text, ha="center", va="center", color=INK)

    def arrow(start, end, text="", offset=(0.0, 0.0), bend=0.0) -> None:
        ax.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=13,
                color=INK,
                linewidth=1.4,
                connectionstyle=f"arc3,rad={bend}",
            )
        )
        middle = [(a + b) / 2 + o for a, b, o in zip(start, end, offset, strict=True)]
        ax.text(*middle, text, ha="center", va="center", color=INK)

    def cell(x: float, step: str) -> None:
        box(x, 0, f"$X_{{{step}}}$", PALE["input"])
        box(x, 1.7, f"$H_{{{step}}}$", PALE["state"])
        box(x, 3.4, f"$O_{{{step}}}$", PALE["output"])
        arrow((x, 0.42), (x, 1.28), r"$W_{xh}$", (0.46, 0))
        arrow((x, 2.12), (x, 2.98), r"$W_{hq}$", (0.46, 0))

    cell(0, "t")
    arrow((-0.2, 2.12), (-0.48, 1.6), bend=1.9)
    ax.text(-1.2, 2.1, r"$W_{hh}$", ha="center", color=INK)
    ax.text(1.25, 1.7, "=", ha="center", va="center", fontsize=20)
    first, pitch = 4.1, 1.95
    box(first - pitch, 1.7, "$H_0$", "white")
    for y, row in ((-0.85, "read:"), (4.2, "target:")):
        ax.text(first - 0.65, y, row, ha="right", va="center", color=INK)
    for t, (below, above) in enumerate(zip(inputs, outputs, strict=True)):
        x = first + pitch * t
        cell(x, str(t + 1))
        ax.text(x, -0.85, below, ha="center", va="center", color=INK)
        ax.text(x, 4.2, above, ha="center", va="center", color=INK)
        arrow((x + 0.48 - pitch, 1.7), (x - 0.48, 1.7), r"$W_{hh}$", (0, 0.34))
    return bare(ax)
