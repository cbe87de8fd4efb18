"""The book's figures: functions that draw on matplotlib Axes and return them."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

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


def _bare(ax: Axes) -> Axes:
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ax


def grid(
    ax: Axes,
    values: Sequence[Sequence[float]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
) -> Axes:
    """Draw a matrix of zeros and ones as a grid of filled and empty cells.

    Args:
        ax: Where to draw.
        values: Shape ``(rows, columns)``; a cell is filled in proportion to its value.
        row_labels: One label a row, written on the left.
        column_labels: One label a column, written on top.

    Returns:
        ``ax``.

    Raises:
        ValueError: If the labels do not fit the shape of ``values``.
    """
    values = np.asarray(values)
    if values.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values has shape {values.shape}; accepted: "
            f"({len(row_labels)}, {len(column_labels)}), as the labels say"
        )
    ax.pcolormesh(
        values,
        cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", COLOURS[0]]),
        edgecolors=GREY,
        linewidth=0.6,
        vmin=0,
        vmax=1,
    )
    ax.invert_yaxis()
    ax.set_aspect("equal")
    ax.grid(False)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.set_xticks(np.arange(values.shape[1]) + 0.5, column_labels)
    ax.set_yticks(np.arange(values.shape[0]) + 0.5, row_labels)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def counts(ax: Axes, table: Mapping[str, int], highlight: str = "") -> Axes:
    """Draw how often each token occurs, as shares of the whole, in the table's order.

    Args:
        ax: Where to draw.
        table: Token to count.
        highlight: Tokens drawn in the second colour.

    Returns:
        ``ax``.
    """
    total = sum(table.values())
    shares = [100 * count / total for count in table.values()]
    colours = [COLOURS[1] if token in highlight else COLOURS[0] for token in table]
    ax.bar(["␣" if token == " " else token for token in table], shares, color=colours)
    ax.grid(axis="x", visible=False)
    ax.tick_params(axis="x", length=0)
    ax.margins(x=0.01)
    ax.set_ylabel("share of tokens (%)")
    return ax


def stream(
    ax: Axes, tokens: Sequence[str], minibatch: Mapping[int, int], columns: int
) -> Axes:
    """Draw a stream of tokens, wrapped, coloured by the minibatch each token is in.

    Args:
        ax: Where to draw.
        tokens: The stream.
        minibatch: Position in the stream to the number of its minibatch, 0 ... 6.
            Positions that are missing stay white.
        columns: Tokens of a line.

    Returns:
        ``ax``.

    Raises:
        ValueError: If a minibatch has a number outside 0 ... 6.
    """
    wrong = sorted(set(minibatch.values()) - set(range(len(COLOURS))))
    if wrong:
        raise ValueError(f"minibatch numbers {wrong}; accepted: 0 ... 6")
    for position, token in enumerate(tokens):
        line, column = divmod(position, columns)
        number = minibatch.get(position)
        colour = "white" if number is None else COLOURS[number]
        cell = Rectangle(
            (column, -line), 1, 1, facecolor=colour, edgecolor="white", lw=2
        )
        ax.add_patch(cell)
        if number is None:
            cell.set(edgecolor=GREY, lw=1)
        ink = INK if number in (None, 1, 4, 6) else "white"
        shown = "␣" if token == " " else token
        ax.text(column + 0.5, 0.58 - line, shown, color=ink, ha="center", va="center")
        if number is not None:
            ax.text(
                column + 0.94, 0.05 - line, str(number), color=ink, ha="right", size=8
            )
    return _bare(ax)


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
        ax.text(*middle, text, ha="center", va="center", fontsize=11, color=COLOURS[5])

    pale = {"x": "#DCEBF5", "h": "#FCECCB", "o": "#D3EDE4"}

    def cell(x: float, step: str) -> None:
        box(x, 0, f"$X_{{{step}}}$", pale["x"])
        box(x, 1.7, f"$H_{{{step}}}$", pale["h"])
        box(x, 3.4, f"$O_{{{step}}}$", pale["o"])
        arrow((x, 0.42), (x, 1.28), r"$W_{xh}$", (0.42, 0))
        arrow((x, 2.12), (x, 2.98), r"$W_{hq}$", (0.42, 0))

    cell(0, "t")
    arrow((-0.2, 2.12), (-0.48, 1.6), bend=1.9)
    ax.text(-1.2, 2.1, r"$W_{hh}$", ha="center", color=COLOURS[5], fontsize=11)
    ax.text(1.25, 1.7, "=", ha="center", va="center", fontsize=20)
    first = 4.0
    box(first - 1.75, 1.7, "$H_0$", "white")
    for y, row in ((-0.85, "read:"), (4.2, "target:")):
        ax.text(first - 0.75, y, row, ha="right", va="center", color=INK)
    for t, (below, above) in enumerate(zip(inputs, outputs, strict=True)):
        x = first + 1.75 * t
        cell(x, str(t + 1))
        ax.text(x, -0.85, below, ha="center", va="center", color=INK)
        ax.text(x, 4.2, above, ha="center", va="center", color=INK)
        arrow((x - 1.27, 1.7), (x - 0.48, 1.7), r"$W_{hh}$", (0, 0.28))
    return _bare(ax)


def eigenvalues(ax: Axes, values: Sequence[complex], radius: float) -> Axes:
    """Draw eigenvalues in the complex plane, with the unit circle and a predicted one.

    Args:
        ax: Where to draw.
        values: The eigenvalues.
        radius: Radius of the disc that a theory predicts them to fill.

    Returns:
        ``ax``.
    """
    values = np.asarray(values)
    ax.add_patch(Circle((0, 0), 1, fill=False, color=GREY, linewidth=1.5))
    ax.add_patch(
        Circle((0, 0), radius, fill=False, color=COLOURS[5], linewidth=1.5, ls="--")
    )
    ax.scatter(values.real, values.imag, s=4, color=COLOURS[0])
    ax.set_aspect("equal")
    ax.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return ax


def baselines(ax: Axes, scores: Mapping[str, float]) -> Axes:
    """Draw scores to beat as dotted lines, each with its name at the right end.

    Args:
        ax: Where to draw, other curves first: the limits of x stay as they are.
        scores: Name to score.

    Returns:
        ``ax``.
    """
    for name, score in scores.items():
        ax.axhline(score, color="dimgrey", linestyle=":", linewidth=1.5)
        ax.text(
            0.99,
            score,
            name,
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="bottom",
            color="dimgrey",
            fontsize=11,
        )
    return ax


def dots(ax: Axes, groups: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the runs of each group as dots and their mean as a short line.

    Args:
        ax: Where to draw.
        groups: Name of a group, written below it, to the scores of its runs.

    Returns:
        ``ax``.
    """
    for x, values in enumerate(groups.values()):
        values = np.asarray(values, dtype=float)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
        ax.plot(x + np.asarray(spread), values, "o", color=COLOURS[0], markersize=5)
        ax.hlines(values.mean(), x - 0.3, x + 0.3, color=COLOURS[1])
    ax.set_xticks(range(len(groups)), groups, rotation=40, ha="right", fontsize=11)
    ax.grid(axis="x", visible=False)
    return ax


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
            ax.text(t + 0.5, level + 0.5, name, ha="center", va="center", fontsize=14)
            if t:
                tail, head = (t - 0.12, level + 0.5), (t + 0.12, level + 0.5)
                ax.annotate("", head, tail, arrowprops={"arrowstyle": "->"})
            if level:
                tail, head = (t + 0.5, level - 0.12), (t + 0.5, level + 0.12)
                ax.annotate("", head, tail, arrowprops={"arrowstyle": "->"})
    frames = (
        ((0.03, layers - 0.97), steps - 0.06, 0.94, COLOURS[0]),
        ((steps - 0.93, 0.07), 0.86, layers - 0.14, COLOURS[1]),
    )
    for corner, width, height, colour in frames:
        ax.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=3)
        )
    ax.text(-0.1, layers - 0.5, "output", ha="right", va="center", color=COLOURS[0])
    ax.text(
        steps + 0.1,
        0.5,
        r"h_n",
        ha="left",
        va="center",
        color=COLOURS[1],
        weight="bold",
    )
    return _bare(ax)


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
                4.4,
                0.7,
                boxstyle="round,pad=0.08",
                facecolor=("#DCEBF5", "#FCECCB")[column % 2],
                edgecolor=INK,
                linewidth=1.2,
            )
        )
        ax.text(x + 0.1, y + 0.35, name, va="center")
        ax.text(x + 4.3, y + 0.35, shape, va="center", ha="right", family="monospace")
        if row:
            ax.annotate(
                "",
                (x + 0.8, y + 0.8),
                (x + 0.8, y + 1.4),
                arrowprops={"arrowstyle": "-|>"},
            )
            label = steps[row - 1]
            ax.text(x + 1.0, y + 1.1, label, va="center", fontsize=10, color=COLOURS[5])
    return _bare(ax)


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

    def arrow(start, end, colour) -> None:
        ax.annotate(
            "",
            end,
            start,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8},
        )

    def circle(x, y, text, colour) -> None:
        ax.add_patch(Circle((x, y), 0.42, facecolor=colour, edgecolor=INK, lw=1.2))
        ax.text(x, y, text, ha="center", va="center", color=INK)

    back = COLOURS[5]
    circle(0, 0, "$h_0$", "white")
    for t in range(1, steps + 1):
        x = 3.2 * t
        circle(x, 0, f"$h_{{{t}}}$", "#FCECCB")
        circle(x, 2.6, rf"$\ell_{{{t}}}$", "#D3EDE4")
        arrow((x - 0.14, 0.46), (x - 0.14, 2.14), "#888888")
        arrow((x + 0.14, 2.14), (x + 0.14, 0.46), back)
        error = rf"$V^\top\!(\hat y_{{{t}}} - y_{{{t}}})$"
        ax.text(x + 0.28, 1.35, error, fontsize=11, color=back, va="center")
        arrow((x - 2.74, 0.14), (x - 0.46, 0.14), "#888888")
        arrow((x - 0.46, -0.14), (x - 2.74, -0.14), back)
        label = rf"$W^\top\!\varepsilon_{{{t}}}$"
        ax.text(x - 1.6, -0.5, label, fontsize=11, color=back, ha="center")
        ax.text(x, -0.75, rf"$\delta_{{{t}}}$", color=back, ha="center")
    return _bare(ax)


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
    return _bare(ax)


def prefixes(ax: Axes, names: Sequence[str]) -> Axes:
    """Draw the prefix tree of names: one dot a prefix, the end of a name filled.

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
                facecolor=COLOURS[1] if ends else "white",
                edgecolor=INK,
                zorder=2,
            )
        )
        ax.text(x, y, prefix[-1], ha="center", va="center", fontsize=12, zorder=3)
    ax.add_patch(Circle(place[""], 0.12, facecolor=INK, zorder=2))
    return _bare(ax)


def borders(ax: Axes, count: int, *, carried: bool) -> Axes:
    """Draw minibatches in a row, with what crosses the borders between them.

    Args:
        ax: Where to draw.
        count: Minibatches.
        carried: Whether each begins with the values of the state in which the one
            before it ended; otherwise each begins with zeros.

    Returns:
        ``ax``.

    Raises:
        ValueError: If ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}; accepted: 1 or more")
    red = COLOURS[5]
    for k in range(count):
        x = 3.2 * k
        ax.add_patch(
            FancyBboxPatch(
                (x, 0),
                2,
                0.8,
                boxstyle="round,pad=0.06",
                facecolor="#DCEBF5",
                edgecolor=INK,
            )
        )
        ax.text(x + 1, 0.4, f"minibatch {k + 1}", ha="center", va="center", size=11)
        handed_on = carried and k > 0
        tail = (x - 1.1, 0.4) if handed_on else (x - 0.5, 0.4)
        style = {"arrowstyle": "-|>", "color": INK}
        ax.annotate("", (x - 0.04, 0.4), tail, arrowprops=style)
        name = "values" if handed_on else "zeros"
        ax.text(x - 0.58, 0.56, name, ha="center", size=10)
        style = {"arrowstyle": "-|>", "color": red, "linewidth": 1.8}
        ax.annotate("", (x, -0.32), (x + 2, -0.32), arrowprops=style)
        ax.text(x + 1, -0.8, "gradient", ha="center", color=red, size=10)
    _bare(ax)
    ax.set(xlim=(-1.1, 3.2 * count - 1), ylim=(-0.95, 1.05))
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
    for colour, part in ((COLOURS[5], kept), (INK, ~kept)):
        ax.pcolormesh(
            edges,
            edges,
            np.where(part & (step <= step[:, None]), values, np.nan),
            cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", colour]),
            norm=mpl.colors.LogNorm(1e-4, 1),
        )
    ticks = [1, *range(window, T + 1, window)]
    ax.set(aspect="equal", xlabel="state $s$", ylabel="loss $t$")
    ax.set(xticks=ticks, yticks=ticks)
    ax.grid(visible=False)
    return ax


def surprisal(
    ax: Axes,
    tokens: Sequence[str],
    bars: Sequence[float],
    line: Sequence[float],
    level: float,
) -> Axes:
    """Draw the surprisal of each token of a line of text, for two models.

    Args:
        ax: Where to draw.
        tokens: The text, written below.
        bars: Surprisal of each token by one model, nats.
        line: The same by the other.
        level: Surprisal by a uniform guess, a dotted line.

    Returns:
        ``ax``.

    Raises:
        ValueError: If there are not as many numbers as tokens.
    """
    if not len(tokens) == len(bars) == len(line):
        raise ValueError(
            f"{len(tokens)} tokens, {len(bars)} bars, {len(line)} points; accepted: as "
            "many of each"
        )
    at = np.arange(len(tokens))
    ax.bar(at, bars, color=COLOURS[4])
    ax.step(at, line, where="mid", color=COLOURS[5], linewidth=1.8)
    ax.axhline(level, color="dimgrey", linestyle=":", linewidth=1.5)
    ax.set_xticks(at, ["␣" if token == " " else token for token in tokens])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.margins(x=0.01)
    ax.set_ylabel("surprisal (nats)")
    return ax
