"""Pages load the style sheet of cards and grids only where they have any: 55 kB."""


def drop_unused(app, pagename, templatename, context, doctree):
    """Take the style sheet of sphinx-design from a page without its parts."""
    if "sd-" not in context.get("body", ""):
        kept = (css for css in context["css_files"] if "sphinx-design" not in str(css))
        context["css_files"] = list(kept)


def setup(app):
    """Connect it to Sphinx."""
    app.connect("html-page-context", drop_unused)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
