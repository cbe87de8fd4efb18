"""The figures of chapter 8: a packed minibatch, and whether probabilities are kept."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from companion.drawing.style import DIM, GREY, INK, PALE, bare


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
                    facecolor=PALE["input"] if inside else "white",
                    edgecolor=GREY if inside else "#E5E5E5",
                    hatch="" if inside else "////",
                )
            )
            if inside:
                ax.text(t + 0.5, 0.5 - row, name[t], ha="center", va="center")
    bottom = 0.5 - len(names) - 0.2
    for t in range(lengths[0]):
        read = sum(length > t for length in lengths)
        ax.text(t + 0.5, bottom, str(read), ha="center", va="center", weight="bold")
    ax.text(-0.2, bottom, "read", ha="right", va="center", weight="bold")
    bare(ax)
    ax.set(xlim=(-1.6, lengths[0]), ylim=(bottom - 0.4, 1))
    return ax


def reliability(
    ax: Axes,
    counts: Sequence[float],
    promised: Sequence[float],
    right: Sequence[float],
    least: float = 20,
) -> Axes:
    """Draw how often answers are right against the probability that they were given.

    The bars are 95 % intervals of the share: Wilson's, which stay inside of 0 and 1
    (E. B. Wilson, Journal of the American Statistical Association 22, 1927).

    Args:
        ax: Where to draw.
        counts: Shape ``(groups,)``, answers in each group of like probability.
        promised: Of the same shape, sums of the probabilities of the answers.
        right: Of the same shape, how many of the answers are right.
        least: A group with fewer answers than that is left out.

    Returns:
        ``ax``.

    Raises:
        ValueError: If the shapes differ, or more answers are right than there are.
    """
    n, promised, right = (np.asarray(x, float) for x in (counts, promised, right))
    if not n.shape == promised.shape == right.shape or n.ndim != 1:
        shapes = ", ".join(str(x.shape) for x in (n, promised, right))
        raise ValueError(f"shapes are {shapes}; accepted: one (groups,) for all three")
    if (right > n).any():
        raise ValueError(f"right is {right} of {n}; accepted: at most counts")
    n, promised, right = (x[n >= least] for x in (n, promised, right))
    z, p = NormalDist().inv_cdf(0.975), right / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    ax.plot([0, 1], [0, 1], "--", color=DIM, linewidth=1.5)
    ax.vlines(promised / n, middle - reach, middle + reach, color=INK)
    ax.plot(promised / n, p, "o", color=INK)
    ticks = {"ticks": [0, 0.5, 1], "labels": ["0", "0.5", "1"]}
    ax.set_xticks(**ticks)
    ax.set_yticks(**ticks)
    ax.set(xlim=(0, 1.04), ylim=(0, 1.04), aspect="equal")
    return ax
