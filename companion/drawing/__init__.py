"""The book's figures: functions that draw on matplotlib Axes and return them.

What a single page draws stands in the module of that page; all are found here.
"""

from companion.drawing.chapter_1 import stream
from companion.drawing.chapter_2 import unrolled
from companion.drawing.chapter_4 import borders
from companion.drawing.chapter_5 import layers_and_steps
from companion.drawing.chapter_6 import PART_COLOURS, PARTS, gru_cell, lstm_cell
from companion.drawing.chapter_7 import backward_paths, messages
from companion.drawing.chapter_8 import packed, reliability
from companion.drawing.laboratory_d import prefixes
from companion.drawing.plots import baselines, dots, grid, seeds, surprisal
from companion.drawing.shapes import flow
from companion.drawing.style import (
    COLOURS,
    DIM,
    GREY,
    INK,
    MEANINGS,
    PALE,
    SHADES,
    colour,
    curve,
    legend,
    points,
    use_style,
    written,
)

__all__ = [
    "COLOURS",
    "DIM",
    "GREY",
    "INK",
    "MEANINGS",
    "PALE",
    "PARTS",
    "PART_COLOURS",
    "SHADES",
    "backward_paths",
    "baselines",
    "borders",
    "colour",
    "curve",
    "dots",
    "flow",
    "grid",
    "gru_cell",
    "layers_and_steps",
    "legend",
    "lstm_cell",
    "messages",
    "packed",
    "points",
    "prefixes",
    "reliability",
    "seeds",
    "stream",
    "surprisal",
    "unrolled",
    "use_style",
    "written",
]
