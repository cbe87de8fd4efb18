"""Figures as small pictures: a palette instead of millions of colours."""

import io
import sys

from matplotlib.figure import Figure


def small_picture(figure: Figure) -> bytes:
    """Return a figure as a PNG of at most 256 colours, the size that the figure says.

    Args:
        figure: Any figure; its resolution is its own.
    """
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png", dpi=figure.dpi)
    picture = Image.open(whole).convert("RGB")
    # Takes care that every colour has a near one, and that large areas keep theirs.
    how = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 1}
    few = picture.quantize(256, dither=Image.Dither.NONE, **how)
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def save_small() -> None:
    """Let a notebook show figures as small pictures; elsewhere nothing happens."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return
    # Loaded now, since with its first figure it would put its own pictures back.
    import matplotlib_inline.backend_inline  # noqa: F401

    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type(Figure, small_picture)
