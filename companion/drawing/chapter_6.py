"""The figures of chapter 6: one step of the gated layers, LSTM and GRU."""

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from companion.drawing.style import INK, SIZE, colour

#: The colour of each gate and of the state that runs through, here and in every figure
#: that shows their values.
PART_COLOURS = {"state": colour("state")} | {
    gate: colour(f"{gate} gate") for gate in ("input", "forget", "output", "reset")
}
PARTS = ("candidate", "input", "forget", "output")
FADED, FADED_TYPE = "#D9D9D9", "#8C8C8C"  # pale lines; type that can still be read


class _Pen:
    """Lines, boxes and circles in one colour."""

    def __init__(self, ax: Axes, colour: str = INK, *, faded: bool = False):
        self.ax, self.faded = ax, faded
        self.colour = FADED if faded else colour
        self.ink = FADED if faded else INK
        self.type = FADED_TYPE if faded else INK
        self.level = 1 if faded else 3  # what is explained lies above what is not

    def arrow(self, *points: tuple[float, float], width: float = 1.6) -> None:
        *before, tail, head = points
        xs, ys = zip(*before, tail, strict=True)
        style = {"color": self.colour, "linewidth": width, "zorder": self.level}
        self.ax.plot(xs, ys, solid_capstyle="butt", **style)
        self.ax.add_patch(
            FancyArrowPatch(
                tail, head, arrowstyle="-|>", mutation_scale=15, shrinkA=0, **style
            )
        )

    def line(self, *points: tuple[float, float]) -> None:
        xs, ys = zip(*points, strict=True)
        self.ax.plot(xs, ys, color=self.colour, linewidth=1.6, zorder=self.level)

    def dot(self, x: float, y: float) -> None:
        self.ax.plot([x], [y], "o", color=self.colour, ms=5, zorder=self.level)

    def text(self, x: float, y: float, text: str, size: float = SIZE) -> None:
        self.ax.text(
            x, y, text, ha="center", va="center", size=size, color=self.type, zorder=6
        )

    def node(self, x: float, y: float, sign: str) -> None:
        style = {"facecolor": "white", "edgecolor": self.ink, "zorder": 4}
        self.ax.add_patch(Circle((x, y), 0.3, **style))
        self.text(x, y, sign)

    def box(self, x: float, y: float, text: str) -> None:
        self.ax.add_patch(
            FancyBboxPatch(
                (x - 0.5, y - 0.3),
                1.0,
                0.6,
                boxstyle="round,pad=0.06",
                facecolor="white",
                edgecolor=self.colour,
                linewidth=2,
                zorder=4,
            )
        )
        self.text(x, y, text)


def _finish(ax: Axes) -> Axes:
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ax


def lstm_cell(ax: Axes, parts: tuple[str, ...] = PARTS) -> Axes:
    """Draw one step of an LSTM: the path of the cell, the candidate, the three gates.

    Args:
        ax: Where to draw.
        parts: Those of ``PARTS`` that have been explained; the others are pale.

    Returns:
        ``ax``.

    Raises:
        ValueError: If a part has another name.
    """
    if wrong := [part for part in parts if part not in PARTS]:
        raise ValueError(f"parts has {wrong}; accepted: {', '.join(PARTS)}")
    pens = {
        name: _Pen(ax, PART_COLOURS.get(name, INK), faded=name not in parts)
        for name in PARTS
    }
    path, plain = _Pen(ax, PART_COLOURS["state"]), _Pen(ax)
    top, middle, boxes = 4.4, 3.05, 1.55  # heights; the hidden state runs at 0
    at = {"forget": 1.6, "input": 3.2, "candidate": 5.0, "output": 6.6}
    add, last = 4.1, 8.1  # where the cell is added to, and where it is shown
    path.arrow((-0.4, top), (9.5, top), width=4.5)
    plain.text(-1.0, top, "$C_{t-1}$")
    plain.text(9.95, top, "$C_t$")
    plain.line((-0.4, 0), (at["candidate"], 0))
    pens["output"].line((at["candidate"], 0), (at["output"], 0))
    plain.line((0.4, -0.65), (0.4, 0))
    plain.text(-1.0, 0, "$H_{t-1}$")
    plain.text(0.4, -1.0, "$X_t$")
    signs = {
        "forget": ("F", r"\sigma"),
        "input": ("I", r"\sigma"),
        "candidate": (r"\tilde C", r"\tanh"),
        "output": ("O", r"\sigma"),
    }
    for name, (letter, function) in signs.items():
        pen, x = pens[name], at[name]
        pen.dot(x, 0)
        pen.arrow((x, 0), (x, boxes - 0.36))
        pen.box(x, boxes, f"${function}$")
        pen.text(x - 0.5, boxes + 0.78, f"${letter}_t$")
    pens["forget"].arrow((at["forget"], boxes + 0.36), (at["forget"], top - 0.3))
    pens["forget"].node(at["forget"], top, r"$\odot$")
    up = (at["input"], boxes + 0.36), (at["input"], middle), (add - 0.3, middle)
    pens["input"].arrow(*up)
    up = (at["candidate"], boxes + 0.36), (at["candidate"], middle)
    pens["candidate"].arrow(*up, (add + 0.3, middle))
    pens["candidate"].arrow((add, middle), (add, top - 0.3))
    pens["input"].node(add, middle, r"$\odot$")
    plain.node(add, top, "$+$")
    shown = pens["output"]
    shown.dot(last, top)
    shown.arrow((last, top), (last, middle + 0.36))
    shown.box(last, middle, r"$\tanh$")
    shown.arrow((last, middle - 0.36), (last, boxes + 0.3))
    shown.arrow((at["output"] + 0.56, boxes), (last - 0.3, boxes))
    shown.arrow((last, boxes), (last, 0), (9.5, 0))
    shown.node(last, boxes, r"$\odot$")
    shown.text(9.95, 0, "$H_t$")
    return _finish(ax)


def gru_cell(ax: Axes) -> Axes:
    """Draw one step of PyTorch's GRU: the path of the state, two gates, the candidate.

    Args:
        ax: Where to draw.

    Returns:
        ``ax``.
    """
    path, plain = _Pen(ax, PART_COLOURS["state"]), _Pen(ax)
    keep, reset = _Pen(ax, PART_COLOURS["forget"]), _Pen(ax, PART_COLOURS["reset"])
    top, boxes = 4.6, 1.2  # heights; H runs at 0 and X below it
    update, gate, product, new, add = 1.6, 3.6, 5.4, 7.6, 6.3
    path.arrow((-0.4, top), (9.0, top), width=4.5)
    plain.text(-1.0, top, "$H_{t-1}$")
    plain.text(9.5, top, "$H_t$")
    plain.line((-0.4, 0), (product, 0))
    plain.text(-1.0, 0, "$H_{t-1}$")
    plain.line((-0.4, -0.8), (new, -0.8))
    plain.text(-1.0, -0.8, "$X_t$")
    for pen, x, letter in ((keep, update, "Z"), (reset, gate, "R")):
        pen.dot(x - 0.16, 0)
        pen.dot(x + 0.16, -0.8)
        pen.arrow((x - 0.16, 0), (x - 0.16, boxes - 0.36))
        pen.arrow((x + 0.16, -0.8), (x + 0.16, boxes - 0.36))
        pen.box(x, boxes, r"$\sigma$")
        pen.text(x - 0.55, boxes + 0.75, f"${letter}_t$")
    plain.arrow((product, 0), (product, boxes - 0.36))
    plain.box(product, boxes, "$W_{hc}$")
    plain.arrow((product, boxes + 0.36), (product, 2.0))
    reset.arrow((gate, boxes + 0.36), (gate, 2.3), (product - 0.3, 2.3))
    plain.arrow((product + 0.3, 2.3), (new - 0.56, 2.3))
    reset.node(product, 2.3, r"$\odot$")
    plain.arrow((new, -0.8), (new, 1.94))
    plain.box(new, 2.3, r"$\tanh$")
    plain.text(new + 0.5, 3.1, r"$\tilde H_t$")
    plain.arrow((new, 2.66), (new, 3.5), (add + 0.3, 3.5))
    keep.arrow((update, boxes + 0.36), (update, top - 0.3))
    keep.dot(update, 3.5)
    keep.arrow((update, 3.5), (add - 0.3, 3.5))
    keep.box(4.2, 3.5, "$1-$")
    plain.arrow((add, 3.5), (add, top - 0.3))
    keep.node(update, top, r"$\odot$")
    keep.node(add, 3.5, r"$\odot$")
    plain.node(add, top, "$+$")
    return _finish(ax)
