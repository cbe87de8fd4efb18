"""Draw the pictures of the cover: `python -m companion.experiments.pictures`.

The mark of the book, as logo and as favicon; the card that other sites show beside a
link; the still figure of the name explorer; and three figures of the chapters, cut out
of the notebooks as they are committed. All lie in ``book/_static/cover``.
"""

import base64
import io
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle, Wedge
from PIL import Image

from companion import drawing
from companion.classify import classify, load
from companion.drawing import COLOURS, INK

BOOK = Path(__file__).parents[2] / "book"
FOLDER = BOOK / "_static" / "cover"
NAME = "romanov"
# The figures of the chapters by the names that their cells give them.
FIGURES = {
    "memory": ("02_rnn_from_scratch", "fig-memory-gain"),
    "cliff": ("03_gradient_clipping", "fig-cliff"),
    "cells": ("06_lstm_internals", "fig-cells"),
}
WIDTH, HEIGHT = 720, 500  # pixels of each of them


def mark(ax: Axes) -> Axes:
    """Draw the mark, one unit wide: a state that is handed on to itself."""
    box = FancyBboxPatch(
        (0.12, 0.12), 0.76, 0.76, boxstyle="round,pad=0.12,rounding_size=0.22"
    )
    box.set(facecolor=COLOURS[0], edgecolor="none")
    ax.add_patch(box)
    white = {"facecolor": "white", "edgecolor": "none"}
    ax.add_patch(Rectangle((0, 0.3), 1, 0.08, **white))  # inputs come, outputs go
    ax.add_patch(Wedge((0.5, 0.58), 0.26, -28, 212, width=0.085, **white))
    ax.add_patch(Polygon([(0.85, 0.52), (0.58, 0.52), (0.69, 0.34)], **white))
    node = Circle((0.5, 0.34), 0.145, facecolor="white", edgecolor=COLOURS[0])
    node.set(linewidth=3.5 * ax.get_window_extent().width / ax.figure.dpi)
    ax.add_patch(node)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_axis_off()
    return ax


def letters(ax: Axes, name: str = NAME) -> Axes:
    """Draw what the classifier that ships says of each prefix of a name."""
    model = load()
    read = [classify(name[: n + 1], model, k=18) for n in range(len(name))]
    paths = {
        language: [dict(row)[language] for row in read] for language in model.languages
    }
    best = sorted(paths, key=lambda language: max(paths[language]))[-3:]
    colours = COLOURS[0], COLOURS[5], COLOURS[2]
    for language, colour in zip(reversed(best), colours, strict=True):
        path = paths[language]
        ax.plot(path, "o-", color=colour, clip_on=False)
        top = max(range(len(path)), key=path.__getitem__)
        ax.annotate(
            language,
            (top, path[top]),
            (-8, 7),
            textcoords="offset points",
            color=drawing.written(colour),
            ha="center" if top < len(path) - 1 else "right",
        )
    ax.set_xticks(range(len(name)), list(name), family="monospace")
    ax.set(ylim=(0, 1.02), yticks=[0, 0.5, 1], ylabel="probability")
    ax.grid(axis="x", visible=False)
    return ax


def card() -> Figure:
    """Draw what stands beside a link to the book: 1200 by 630 pixels."""
    fig = plt.figure(figsize=(12, 6.3), dpi=100, layout="none")
    mark(fig.add_axes((0.05, 0.71, 0.105, 0.2)))
    title = {"size": 37, "weight": "bold", "va": "center"}
    fig.text(0.185, 0.86, "Recurrent Neural Networks,", color=INK, **title)
    fig.text(0.185, 0.755, "Line by Line", color=COLOURS[0], **title)
    fig.text(0.05, 0.59, "Eight executable chapters in PyTorch", size=22, color=INK)
    ax = letters(fig.add_axes((0.1, 0.1, 0.84, 0.4)))
    ax.set_ylabel("")
    return fig


def still() -> Figure:
    """Draw the figure that stands where no script runs."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    letters(ax)
    ax.set_xlabel("the name is read up to here, as if it ended")
    return fig


def png(fig: Figure) -> Image.Image:
    """Return a figure as it would be saved."""
    file = io.BytesIO()
    fig.savefig(file, dpi=fig.dpi)
    plt.close(fig)
    return Image.open(file)


def of_chapter(stem: str, name: str) -> Image.Image:
    """Return a figure of a committed notebook, fitted into a white frame."""
    cells = json.loads((BOOK / f"{stem}.ipynb").read_text("utf-8"))["cells"]
    for cell in cells:
        if cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") == name:
            data = cell["outputs"][0]["data"]["image/png"]
            drawn = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            drawn.thumbnail((WIDTH - 30, HEIGHT - 30), Image.Resampling.LANCZOS)
            frame = Image.new("RGB", (WIDTH, HEIGHT), "white")
            at = (WIDTH - drawn.width) // 2, (HEIGHT - drawn.height) // 2
            frame.paste(drawn, at)
            return frame
    raise ValueError(f"name is {name!r}; accepted: a figure of {stem}")


def draw() -> dict[str, Image.Image]:
    """Draw all pictures: their files and what belongs into them."""
    drawing.use_style()
    found = {f"{key}.png": of_chapter(*where) for key, where in FIGURES.items()}
    for name, pixels in {"logo.png": 192, "favicon.png": 64}.items():
        fig = plt.figure(figsize=(1, 1), dpi=pixels, layout="none")
        fig.patch.set_alpha(0)
        mark(fig.add_axes((0, 0, 1, 1)))
        found[name] = png(fig)
    return found | {"card.png": png(card()), "letters.png": png(still())}


def save(picture: Image.Image, file: Path) -> None:
    """Save a picture in 256 colours."""
    if picture.mode != "RGBA" or picture.getextrema()[3][0] == 255:
        picture = picture.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
    picture.save(file, optimize=True)


def main() -> None:
    mpl.use("agg")
    FOLDER.mkdir(exist_ok=True)
    for name, picture in draw().items():
        save(picture, FOLDER / name)
        print(f"{(FOLDER / name).stat().st_size / 1000:6.1f} kB  {name}")


if __name__ == "__main__":
    main()
