"""The explorer of names: the page's classifier, its door, and what is read off it."""

import json
import unicodedata

import pytest
import torch
from explorer_pages import browser, call, close, focus, move, reading, show

from companion import classify, datasets
from companion.classifier import log_probabilities
from companion.classify import door
from companion.classify.joint import ngrams
from companion.classify.stored import provenance
from companion.experiments import explorer_names, explorers, packing

OPEN = "window.Explorers?.mounted.names?.found"
READ = """names => { const net = Explorers.mounted.names.net;
  return names.map(n => Array.from(net.read(net.door(n).name))) }"""
DOOR = "names => names.map(Explorers.mounted.names.net.door)"
CELLS = """Object.fromEntries(Array.from(
  document.querySelectorAll('.explorer-languages li'), n => ['b', 'span', 'i'].map(
  tag => n.querySelector(tag))).map(([b, span, i]) => [b.textContent,
  [span.textContent, parseFloat(i.style.width)]]))"""
ODD = [
    *("  O’BRIEN ", "Ślusàrski", "Groß", "Lu:", "Lu , :", "Nguyễn  Thị", "É", "ʻokina"),
    *("Иванов", "R2D2", "€", "", "  ", "-", "' '", "王", "ə", "a" * 40, "b" * 41),
    *("ﬁnn", "Ｌｉ", "𝐀da", "a\u0301", "zoe\n", "tab\tbed", "\ud800", "a–b", "Æsir"),
    *("d\u00adupont", "x\u3000y", "1" * 99, "9876543210!?"),
]


@pytest.fixture(scope="module")
def given():
    return explorers.read("names")


@pytest.fixture(scope="module")
def model(given):
    return explorer_names.dequantised(given)


@pytest.fixture(scope="module")
def held_out():
    if datasets.origin()[0] != "real":
        pytest.skip("needs the real data")
    return explorer_names.held_out()


@pytest.fixture(scope="module")
def page(show):
    opened = show("names", ready=OPEN)
    yield opened
    assert not opened.console


def probabilities(model, names):
    return log_probabilities(model, names).exp()


# --- What was packed ----------------------------------------------------------------


def test_a_row_is_rounded_to_the_nearest_of_its_scale():
    matrix = torch.randn(5, 33, generator=torch.Generator().manual_seed(0))
    matrix[3] = 0
    for largest in (7, 127):
        whole, scales = packing.round_rows(matrix, largest)
        assert whole.dtype == torch.int8
        assert whole[[0, 1, 2, 4]].abs().amax(1).eq(largest).all()
        gap = (whole * scales.float()[:, None] - matrix).abs()
        assert (gap <= 0.51 * scales.float()[:, None]).all()
    raw = bytes(range(256)) * 5
    assert packing.unsqueeze(packing.squeeze(raw)) == raw


def test_what_the_page_has_is_what_ships_but_for_the_rounding(given, model):
    ships = classify.load().double()
    assert given["languages"] == list(ships.languages)
    assert sorted(given["letters"]) == sorted(door.WRITTEN)
    assert given["longest"] == door.LONGEST
    for (name, ours), theirs in zip(
        model.state_dict().items(), ships.state_dict().values(), strict=True
    ):
        steps = 7 if name == explorer_names.PIECES else 127
        by_row = ours.T if steps == 7 else ours
        rounded = "weight" in name
        bound = theirs.T if steps == 7 else theirs
        bound = bound.abs().amax(-1, keepdim=True) / steps * 0.51 if rounded else 0
        assert ((by_row - (theirs.T if steps == 7 else theirs)).abs() <= bound).all()


def test_pieces_keep_their_characters(model):
    number = int(ngrams(torch.tensor([[3], [57], [58]]), torch.tensor([3]), 4)[0, -1])
    assert explorer_names.symbols(number) == [3, 27, 28, 29]  # d, hyphen, ', the end
    numbers = explorer_names.renumber(model.known)
    assert numbers == sorted(set(numbers))


def test_the_scores_of_the_page(given, model, held_out):
    told = given["scores"]
    ships = provenance()["test"]
    for name, value in told["ships"].items():
        assert abs(ships[name] - value) < 1e-6, name
    measured, answers = explorer_names.score(model)
    for name, value in measured.items():
        assert abs(told["page"][name] - value) < 1e-9, name
    theirs = probabilities(classify.load(), held_out[0]).argmax(1)
    assert abs(told["same answer"] - (answers == theirs).double().mean()) < 1e-9
    nats = -probabilities(model, held_out[0]).gather(1, held_out[1][:, None]).log()
    assert abs(measured["nats"] - nats.mean()) < 1e-9


# --- The page beside the library ----------------------------------------------------


def type_in(page, text):
    focus(page, "surname")
    page.tab.keyboard.press("Control+a")
    page.tab.keyboard.type(text) if text else page.press("Delete")


def test_held_out_names_have_the_librarys_probabilities(page, model, held_out):
    names = held_out[0][::9]
    close(call(page, READ, names), probabilities(model, names), atol=1e-5)


def test_each_prefix_is_a_whole_name(page, model):
    for name in ("romanov", "o'brien", "van der berg", "a" * 40, "'o-"):
        type_in(page, name)
        found = call(page, "() => Explorers.mounted.names.found.paths")
        for n, P in enumerate(found, start=1):
            try:
                wanted = dict(classify.classify(name[:n], model, k=18))
            except ValueError:  # no letter yet
                assert P is None
            else:
                close(P, [wanted[k] for k in model.languages], atol=1e-5)


def test_the_door_is_the_librarys(page):
    rows = [row for group in datasets.names().values() for row in group]
    tried = ODD + rows[:: max(1, len(rows) // 3000)]
    for name, ours in zip(tried, call(page, DOOR, tried), strict=True):
        try:
            wanted = door.normalise(name)
        except ValueError as error:
            said = str(error)
            kind = ours["refused"]
            assert (kind == "no letter") == ("at least one letter" in said), name
            assert (kind == "too long") == ("characters; accepted" in said), name
            if kind == "foreign":
                assert f"holds {ours['foreign']!r};" in said
            else:
                assert "holds" not in said, name
        else:
            assert ours == {"name": wanted}, name


def test_each_character_is_spelt_as_by_the_library(given):
    runs = json.loads(packing.unsqueeze(given["spelling"]))
    table = {c: spelt for a, b, spelt in runs for c in range(a, b + 1)}
    # Another Python may know other characters; those of Unicode 3.2 all of them know.
    for code in range(0x110000):
        if unicodedata.ucd_3_2_0.category(chr(code)) not in {"Cn", "Co"}:
            char = chr(code).translate(door._APOSTROPHES)
            assert table.get(code) == door._spell(char), hex(code)


def test_what_is_read_off(page, model):
    for name, at in (("Takahashi", 5), ("Ślusàrski", 9), ("Romanov", 5)):
        type_in(page, name)
        part = door.normalise(name)
        move(page, "at", at)
        best = classify.classify(part[:at], model)
        told = ", ".join(f"{k} {p:.2f}" for k, p in best)
        end = "" if at == len(part) else ", as if the name ended here"
        assert reading(page) == f"“{part[:at]}”{end}: {told}."
        cells = page.evaluate(CELLS)
        assert list(cells) == list(model.languages)
        for language, p in classify.classify(part[:at], model, k=18):
            digits, width = cells[language]
            assert abs(float(digits) - p) < 0.00501
            assert abs(width - 100 * p) < 0.00501


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Type a surname."),
        ("R2D2", "“R2D2” holds “2”; accepted: Latin letters,"),
        ("- -", "“- -” has no letter; accepted: at least one."),
        ("q" * 41, "has 41 characters; accepted: at most 40."),
    ],
)
def test_what_cannot_be_read_is_refused(page, typed, told):
    type_in(page, typed)
    assert told in reading(page)
    assert {digits for digits, _ in page.evaluate(CELLS).values()} == {"–"}
    type_in(page, "Li")
    assert reading(page).startswith("“li”: ")


def test_a_finger_chooses_a_letter_and_spelling_reads_them_all(page):
    type_in(page, "Romanov")
    box = page.evaluate(
        "(({x, y, width, height}) => [x, y, width, height])("
        "document.querySelector('.explorer-plot svg').getBoundingClientRect())"
    )
    page.tap(box[0] + 42 + (box[2] - 66) * 5 / 6, box[1] + box[3] / 2)
    assert reading(page).startswith("“romano”, as if")
    focus(page, "example1")
    page.press("Enter")
    assert reading(page).startswith("“takahashi”: ")
    focus(page, "spell")
    page.press("Enter")
    assert reading(page).startswith("“t”, as if")
    page.wait("document.querySelector('[role=status]').textContent.includes('“takah”')")
    page.wait("document.querySelector('[role=status]').textContent[10] === '”'")


def test_what_the_chapter_says_of_it(given, model):
    chapter = explorers.FOLDER.parents[1] / "08_name_classification.ipynb"
    cells = json.loads(chapter.read_text("utf-8"))["cells"]
    text = next(t for c in cells if 'explorer="names"' in (t := "".join(c["source"])))
    scores = given["scores"]
    page, same = scores["page"], scores["same answer"]
    told = (
        f"accuracy {page['accuracy']:.1%}, macro F1 {page['macro F1']:.1%}, "
        f"{page['nats']:.2f} nats, and {same:.1%} of its"
    )
    assert told.replace("%", " %") in text
    for name, language in {
        "roman": "English",
        "romano": "Italian",
        "romanov": "Russian",
    }.items():
        assert classify.classify(name, model, k=1)[0][0] == language
