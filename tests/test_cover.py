"""The cover: its pictures, the card beside a link, the citation, and what it loads."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageChops, ImageStat

from companion.classify import classify
from companion.experiments import pictures

ROOT = Path(__file__).parents[1]
COVER = (ROOT / "book" / "index.md").read_text("utf-8")
PUBLIC = "https://github.com/owner/name"


@pytest.fixture(scope="module")
def sharing():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import sharing

    yield sharing
    sys.path.pop(0)


@pytest.fixture
def config(monkeypatch):
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)
    return SimpleNamespace(
        book_repository="",
        book_description="What it is.",
        html_title="Networks, Line by Line",
        author="the authors",
        copyright="2026",
    )


@pytest.fixture(scope="module")
def drawn():
    return pictures.draw()


@pytest.mark.parametrize("key", pictures.FIGURES)
def test_a_figure_of_the_cover_is_that_of_its_chapter(drawn, key):
    kept = Image.open(pictures.FOLDER / f"{key}.png").convert("RGB")
    gap = ImageStat.Stat(ImageChops.difference(kept, drawn[f"{key}.png"]))
    assert max(gap.mean) < 2  # 64 colours instead of all


def test_all_pictures_are_drawn_and_light(drawn):
    files = {file.name: file.stat().st_size for file in pictures.FOLDER.iterdir()}
    assert files.keys() == drawn.keys()
    assert max(files.values()) < 40_000
    for name, picture in drawn.items():
        assert Image.open(pictures.FOLDER / name).size == picture.size, name
    assert drawn["card.png"].size == (1200, 630)


def test_a_figure_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"fig-nowhere.*accepted"):
        pictures.of_chapter("03_gradient_clipping", "fig-nowhere")


def test_what_the_cover_says_of_romanov():
    best = {name: classify(name, k=1)[0] for name in ("roman", "romano", "romanov")}
    assert [language for language, _ in best.values()] == [
        "English",
        "Italian",
        "Russian",
    ]
    for name, (language, _) in best.items():
        assert re.search(rf'"{name}"\s(is\s|leans to\s)?{language}', COVER), name
    shares = [p for _, p in best.values()]
    assert 0.3 < shares[0] < 0.4  # "a third"
    assert 0.88 < shares[1] < 0.92  # "nine tenths"
    assert shares[2] > 0.98


def test_what_the_cover_says_of_times():
    reading = [int(n) for n in re.findall(r"\| (\d+) min \|", COVER)]
    assert len(reading) == 12
    assert (min(reading[:8]), max(reading[:8])) == (60, 75)
    assert set(reading[8:]) == {60}
    assert set(re.findall(r"min \| (.+) min \|", COVER)) == {"½", "1"}


def test_each_picture_leads_to_its_chapter():
    for key, (stem, _) in pictures.FIGURES.items():
        card = COVER[COVER.index(f"cover/{key}.png") :]
        alt = re.search(r":img-alt: (.+)", card)[1]
        assert len(alt) > 80
        assert re.search(r":link: (.+)", card)[1] == stem


def test_without_an_address_no_card_and_no_citation_has_one(sharing, config):
    found = sharing.told(config, "A page", "book/a.html", home=False)
    assert "://" not in "".join([*found.values(), sharing.citation(config)])
    assert not found.keys() & {"og:image", "og:url"}
    assert found["twitter:card"] == "summary"
    assert sharing.citation(config) == (
        "@book{rnn-line-by-line,\n"
        "  title  = {{Networks, Line by Line}},\n"
        "  author = {{The authors}},\n"
        "  year   = {2026},\n"
        f"  note   = {{Version {sharing.version()}}},\n"
        "}"
    )


def test_with_an_address_the_picture_is_there_and_absolute(sharing, config):
    config.book_repository = PUBLIC
    pages = "https://owner.github.io/name/"
    found = sharing.told(config, "A page", "book/a.html", home=True)
    assert found["og:url"] == f"{pages}book/a.html"
    assert found["og:image"] == f"{pages}_static/cover/card.png"
    assert (ROOT / "book" / "_static" / "cover" / "card.png").is_file()
    assert found["og:type"] == "website"
    assert found["twitter:card"] == "summary_large_image"
    assert f"  url    = {{{pages}}},\n" in sharing.citation(config)


def test_a_head_is_written_as_html(sharing, config):
    context = {"title": "<em>h</em> &amp; <code>c</code>", "metatags": "<!-- kept -->"}
    builder = SimpleNamespace(get_target_uri=lambda page: f"{page}.html")
    config.root_doc = "book/index"
    app = SimpleNamespace(config=config, builder=builder)
    sharing.social_card(app, "book/a", "page.html", context, None)
    assert context["metatags"].startswith("<!-- kept -->\n<meta name=")
    assert '\n<meta property="og:title" content="h &amp; c" />' in context["metatags"]
