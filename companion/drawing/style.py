"""The look of the book: colours, type and lines."""

import matplotlib as mpl
from matplotlib.axes import Axes

#: Okabe and Ito's colours, told apart under every common form of colour blindness.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#BBBBBB"
INK = "#222222"


def use_style() -> None:
    """Set the book's look: large type and strong lines, legible on a phone.

    Figures keep a white ground, so that they read as cards in dark mode. Resolution is
    fixed, since the tests compare a figure's size as the notebook prints it.
    """
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 150,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.titlesize": 13,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.grid": True,
            "grid.color": "#E5E5E5",
            "axes.axisbelow": True,
            "lines.linewidth": 2.2,
            "legend.frameon": False,
        }
    )


def bare(ax: Axes) -> Axes:
    """Leave of Axes what is drawn in them, in equal units."""
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ax
