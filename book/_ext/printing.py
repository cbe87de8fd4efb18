"""The book on paper: how Sphinx's LaTeX builder sets it.

``sphinx-jupyterbook-latex`` arranges the cover and the parts, but it also chooses
XeLaTeX, which takes no missing character from another font, and a class that needs half
a gigabyte of fonts. Both are undone here: LuaLaTeX, Sphinx's own class, and the fonts
and commands of ``fonts.tex`` and ``printing.tex``. No other builder reads these.
"""

from pathlib import Path

HERE = Path(__file__).parent
LAYOUT = {
    "hmargin": "{23mm,23mm}",
    "vmargin": "{24mm,26mm}",
    "VerbatimColor": "{RGB}{246,247,249}",
    "VerbatimBorderColor": "{RGB}{214,218,224}",
    "verbatimforcewraps": "true",
}
ELEMENTS = {
    "papersize": "a4paper",
    "extraclassoptions": "oneside,openany",
    "passoptionstopackages": r"\batchmode",  # do not wait for an answer to an error
    "babel": r"\usepackage{babel}",
    "fncychap": "",
    "figure_align": "H",  # where the text speaks of it
    "sphinxsetup": ", ".join(f"{key}={value}" for key, value in LAYOUT.items()),
}


def configure(app, config):
    """Set what the LaTeX builder reads."""
    config.latex_engine = "lualatex"
    config.latex_theme = "manual"
    config.latex_use_xindy = False
    config.latex_domain_indices = False
    config.latex_elements = ELEMENTS | {
        "fontpkg": (HERE / "fonts.tex").read_text(encoding="utf-8"),
        "preamble": (HERE / "printing.tex").read_text(encoding="utf-8"),
        "tableofcontents": r"\sphinxtableofcontents\aboutthebook",
    }


def setup(app):
    """Come after sphinx-jupyterbook-latex."""
    app.connect("config-inited", configure, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
