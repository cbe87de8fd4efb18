"""What is wrong with a figure: `faults(figure)` lists it; `watch()` lets none pass.

A figure of the book is read on a phone, where it is 328 pixels wide. There its type is
to have 8 points at least; no text may lie on another or run out of the picture; and
what lies below a text or a legend must be even ground, no curve, marker, bar or arrow.
For the last the figure is drawn once more without its texts, legends and grid, so that
what hides what is matplotlib's to say. `python -m tests.arithmetics` has the kernels of
all notebooks watch the figures that they show: one with a fault fails its cell.
"""

from contextlib import ExitStack
from itertools import combinations
from unittest import mock

import numpy as np
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from companion.drawing.style import contrast

PHONE = 328  # pixels: a window of 360 without its margins
POINTS = 8  # the smallest type, on the phone
CONTRAST = 3  # of type with its ground: that of large type in the web's guidelines
UNEVEN = 0.01  # share of the pixels below a text that may differ from the others


def drawn(figure: Figure) -> tuple[list[Text], list[Legend]]:
    """Draw a figure: the texts and legends that took part, the hidden ones do not."""
    texts, legends = [], []

    def note(kind, found):
        draw = kind.draw

        def noted(self, *args, **kwargs):
            if self.get_visible() and self not in found:
                found.append(self)
            return draw(self, *args, **kwargs)

        return mock.patch.object(kind, "draw", noted)

    with note(Text, texts), note(Legend, legends):
        figure.canvas.draw()
    return [text for text in texts if text.get_text().strip()], legends


def ground(figure: Figure) -> np.ndarray:
    """Draw a figure without texts, legends, ticks and grid: (height, width, 3)."""
    with ExitStack() as hidden:
        for part in (Text, Legend, Tick):
            hidden.enter_context(mock.patch.object(part, "draw"))
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int).copy()


def box(part: Text | Legend, figure: Figure) -> np.ndarray:
    """Return left, bottom, right and top in pixels; of a text, without its leading."""
    left, bottom, right, top = part.get_window_extent().extents
    if isinstance(part, Text):
        if part.get_bbox_patch():
            extents = part.get_bbox_patch().get_window_extent().extents
            left, bottom, right, top = extents
        leading = 0.12 * part.get_fontsize() * figure.dpi / 72
        bottom, top = bottom + leading, top - leading
    return np.array((left, bottom, right, top))


def faults(figure: Figure) -> list[str]:
    """List what is wrong with a figure; nothing, if all can be read.

    Args:
        figure: As it is to be shown, on a canvas of Agg. It is drawn twice.
    """
    texts, legends = drawn(figure)
    found = []
    width, height = figure.get_size_inches() * figure.dpi
    phone = PHONE / 96 / figure.get_figwidth()
    for text in texts:
        if text.get_fontsize() * phone < POINTS - 0.05:
            size = f"{text.get_fontsize() * phone:.1f} points on a phone"
            found.append(f"{text.get_text()!r} has {size}; at least {POINTS}")
    boxes = [(text, box(text, figure)) for text in texts]
    for text, (left, bottom, right, top) in boxes:
        if left < -1 or bottom < -1 or right > width + 1 or top > height + 1:
            found.append(f"{text.get_text()!r} runs out of the figure")
    for (one, a), (other, b) in combinations(boxes, 2):
        if (np.minimum(a, b)[2:] - np.maximum(a, b)[:2] > 1).all():
            found.append(f"{one.get_text()!r} lies on {other.get_text()!r}")
    picture = ground(figure)[::-1]
    for part, place in [*boxes, *((one, box(one, figure)) for one in legends)]:
        left, bottom, right, top = np.clip(place.round().astype(int), 0, None)
        below = picture[bottom:top, left:right].reshape(-1, 3)
        if not len(below):
            continue
        usual = np.median(below, axis=0)
        if (np.abs(below - usual).max(1) > 24).mean() > UNEVEN:
            name = repr(part.get_text()) if isinstance(part, Text) else "the legend"
            found.append(f"{name} lies on something that is drawn")
            continue
        if isinstance(part, Legend) or part.get_bbox_patch():
            continue
        if contrast(part.get_color(), usual / 255) < CONTRAST:
            found.append(f"{part.get_text()!r} is too like its ground")
    return sorted(set(found))


def watch() -> None:
    """Let the display of a figure with faults raise an error, in this kernel."""
    from IPython import get_ipython

    formatter = get_ipython().display_formatter
    show = formatter.format

    def checked(shown, *args, **kwargs):
        if isinstance(shown, Figure) and (wrong := faults(shown)):
            raise AssertionError("the figure has faults: " + "; ".join(wrong))
        return show(shown, *args, **kwargs)

    formatter.format = checked
