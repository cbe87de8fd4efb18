"""What the book says of itself elsewhere: the card beside a link, and how to cite it.

The picture of the card and all addresses are told where ``book_repository`` is set, and
nowhere else: see :mod:`publishing`.
"""

import html
import re

from docutils import nodes
from docutils.parsers.rst import Directive

from publishing import ROOT, address

CARD = "_static/cover/card.png"  # made by companion.experiments.pictures
CARD_SHOWS = (
    "The title of the book, and how the answer of a network turns from English to "
    "Italian to Russian while it reads romanov"
)


def version() -> str:
    """Return the version of the companion."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"', project, re.MULTILINE)[1]


def citation(config) -> str:
    """Return the book as an entry of BibTeX."""
    where = address(config.book_repository)
    author = config.author[:1].upper() + config.author[1:]
    fields = {
        # Inner braces keep the capitals, and keep an author's name in one piece.
        "title": f"{{{config.html_title}}}",
        "author": f"{{{author}}}",
        "year": config.copyright,
        "note": f"Version {version()}",
    }
    if where:
        fields["url"] = where.pages
    lines = [f"  {key:<6} = {{{value}}},\n" for key, value in fields.items()]
    return f"@book{{rnn-line-by-line,\n{''.join(lines)}}}"


class Cite(Directive):
    """``{citation}``: the entry of BibTeX, as a block."""

    def run(self):
        """Return the block."""
        entry = citation(self.state.document.settings.env.config)
        return [nodes.literal_block(entry, entry, language="bibtex")]


def told(config, title: str, page: str, home: bool) -> dict[str, str]:
    """Return what other sites show beside a link to a page: Open Graph, Twitter."""
    where = address(config.book_repository)
    found = {
        "description": config.book_description,
        "og:site_name": config.html_title,
        "og:title": title,
        "og:description": config.book_description,
        "og:type": "website" if home else "article",
        "twitter:card": "summary_large_image" if where else "summary",
    }
    if where:
        found |= {
            "og:url": where.pages + page,
            "og:image": where.pages + CARD,
            "og:image:width": "1200",
            "og:image:height": "630",
            "og:image:alt": CARD_SHOWS,
        }
    return found


def social_card(app, pagename, templatename, context, doctree):
    """Put it into the head of the page."""
    title = html.unescape(re.sub("<[^>]*>", "", context.get("title") or ""))
    found = told(
        app.config,
        title or app.config.html_title,
        app.builder.get_target_uri(pagename),
        pagename == app.config.root_doc,
    )
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {"property" if ":" in key[:3] else "name"}="{key}" '
        f'content="{html.escape(value)}" />'
        for key, value in found.items()
    )


def setup(app):
    """Connect this to Sphinx."""
    app.add_config_value("book_description", "", "env")
    app.add_directive("citation", Cite)
    app.connect("html-page-context", social_card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
