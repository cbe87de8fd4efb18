"""The look of the book: type, lines, and one colour for one thing."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from companion.drawing.saving import save_small

#: Okabe and Ito's colours, told apart under every common form of colour blindness.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW = COLOURS
GREY = "#BBBBBB"
INK = "#222222"
#: What is measured only to be beaten, and other lines that are no data.
DIM = "dimgrey"
#: An ordered quantity in three steps, told apart by their lightness.
SHADES = ("#9CCBE8", BLUE, "#00344F")
#: The ground of a box in a diagram by what it holds.
PALE = {"input": "#DCEBF5", "state": "#FCECCB", "output": "#D3EDE4"}

#: A figure is 6.4 inches wide and 328 pixels on a phone of 360, where 15 points are 8.
WIDTH, SIZE = 6.4, 15

#: What a thing looks like in every figure. Its colour, and for those who do not see
#: colours its marker and its line. Things that may share a plot differ in all three.
MEANINGS = {
    # layers
    "RNN": (BLUE, "o", "-"),
    "RNN, scratch": ("#888888", "p", (0, (3, 1, 1, 1, 1, 1))),
    "LSTM": (ORANGE, "v", "--"),
    "GRU": (GREEN, "D", "-."),
    "ReLU": (PINK, "s", ":"),
    "RNN, 2 layers": (INK, "P", (0, (6, 1.5))),
    "RNN, both ways": (RED, "X", (0, (1, 1))),
    # models of text and of names
    "network": (BLUE, "o", "-"),
    "counts": (RED, "^", (0, (6, 1.5))),
    "another opponent": (GREEN, "s", "-."),
    # what a score was measured on
    "held-out": (BLUE, "o", "-"),
    "training": (INK, "s", "--"),
    # steps of gradient descent, and the settings of chapter 3
    "clipped": (BLUE, "o", "-"),
    "not clipped": (RED, "X", "--"),
    "smaller rate": (GREEN, "s", "-."),
    "rate 1, theta 0.5": (BLUE, "o", "-"),
    "rate 1": (RED, "X", "--"),
    "rate 0.5": (GREEN, "s", "-."),
    "rate 0.1": (PINK, "D", ":"),
    "rate 1, forgetful": (ORANGE, "v", (0, (6, 1.5))),
    # initial matrices of chapter 2, and the radii of chapter 3: fading, kept, growing
    "normal": (BLUE, "o", "-"),
    "normal, std 0.01": (BLUE, "o", "-"),
    "PyTorch's default": (ORANGE, "v", "--"),
    "orthogonal": (GREEN, "D", "-."),
    "rho 1.5": (RED, "X", (0, (6, 1.5))),
    "rho 1.5, inputs 0.3": (PINK, "s", ":"),
    "rho 0.5": (BLUE, "o", "-"),
    "rho 1": (GREEN, "D", "-."),
    "rho 2": (RED, "X", (0, (6, 1.5))),
    # encodings of a token
    "one-hot row": (BLUE, "s", "-"),
    "random numbers": (ORANGE, "o", "--"),
    "learned numbers": (GREEN, "X", "-."),
    "five bits": (PINK, "D", ":"),
    "hidden layer": (RED, "^", "--"),
    # parts of a gated layer
    "state": (BLUE, "o", "-"),
    "input gate": (ORANGE, "v", "--"),
    "forget gate": (RED, "X", "-."),
    "output gate": (PINK, "s", ":"),
    "reset gate": (GREEN, "D", (0, (6, 1.5))),
    # what runs backwards
    "gradient": (RED, "X", "--"),
}


def colour(thing: str) -> str:
    """Return the colour of a thing in every figure of the book.

    Args:
        thing: A key of ``MEANINGS``.

    Raises:
        ValueError: If it has no colour.
    """
    if thing not in MEANINGS:
        raise ValueError(f"thing is {thing!r}; accepted: {', '.join(MEANINGS)}")
    return MEANINGS[thing][0]


def curve(thing: str, *, marked: bool = True) -> dict:
    """Return how ``Axes.plot`` draws a thing: colour, line, and a marker now and then.

    Args:
        thing: A key of ``MEANINGS``.
        marked: Whether markers stand on the curve, a tenth of the picture apart.

    Raises:
        ValueError: If it has no colour.
    """
    look = {"color": colour(thing), "linestyle": MEANINGS[thing][2]}
    return look | ({"marker": MEANINGS[thing][1], "markevery": 0.1} if marked else {})


def points(thing: str) -> dict:
    """Return how ``Axes.plot`` draws the points of a thing: colour and marker, no line.

    Args:
        thing: A key of ``MEANINGS``.

    Raises:
        ValueError: If it has no colour.
    """
    return {"color": colour(thing), "marker": MEANINGS[thing][1], "linestyle": ""}


def written(colour: str) -> str:
    """Darken a colour until type in it can be read on white, at a contrast of 4.5.

    Args:
        colour: Any colour that matplotlib knows.

    Returns:
        The colour as a hexadecimal number, unchanged where it is dark enough.
    """
    red, green, blue = to_rgb(colour)
    while contrast((red, green, blue), "white") < 4.6:
        red, green, blue = 0.97 * red, 0.97 * green, 0.97 * blue
    return to_hex((red, green, blue))


def contrast(one: object, other: object) -> float:
    """Return the contrast of two colours, 1 to 21, by the web's guidelines (WCAG)."""

    def luminance(colour: object) -> float:
        linear = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in to_rgb(colour)
        )
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def legend(ax: Axes, columns: int = 2, **options: object) -> Legend:
    """Name the curves of Axes above the figure, where they lie over nothing.

    Args:
        ax: The curves' axes. A name that several curves have is written once.
        columns: Names beside each other.
        options: Further ones of ``Figure.legend``, such as ``handles``.
    """
    if "handles" not in options:
        handles, labels = ax.get_legend_handles_labels()
        options["handles"] = dict(zip(labels, handles, strict=True)).values()
    figure: Figure = ax.get_figure(root=True)
    return figure.legend(loc="outside upper center", ncols=columns, **options)


def use_style() -> None:
    """Set the book's look: type of 15 points and strong lines, legible on a phone.

    Figures keep a white ground, so that they read as cards in dark mode. Resolution is
    fixed, since the tests compare a figure's size as the notebook prints it. In a
    notebook, pictures are saved with few colours, which makes them small.
    """
    sizes = {
        f"{part}size": SIZE
        for part in ("font.", "axes.title", "axes.label", "xtick.label", "ytick.label")
    }
    mpl.rcParams.update(
        sizes
        | {
            "figure.figsize": (WIDTH, 4.2),
            "figure.dpi": 150,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "figure.titlesize": SIZE,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.grid": True,
            "grid.color": "#E5E5E5",
            "axes.axisbelow": True,
            "lines.linewidth": 2.2,
            "lines.markersize": 7,
            "legend.frameon": False,
            "legend.fontsize": SIZE,
            "legend.handlelength": 2.2,
            "legend.handletextpad": 0.5,
            "legend.columnspacing": 1.2,
            "legend.borderaxespad": 0,
        }
    )
    save_small()


def bare(ax: Axes) -> Axes:
    """Leave of Axes what is drawn in them, in equal units."""
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.margins(0.01)
    ax.autoscale_view()
    return ax
