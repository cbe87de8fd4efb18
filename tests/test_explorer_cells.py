"""The explorer of chapter 6's reader: what its cells and gates hold on a line."""

import math

import pytest
import torch
from explorer_pages import (
    F64,
    book,
    browser,
    call,
    close,
    focus,
    move,
    once,
    printed,
    reading,
    said,
    same_weights,
    show,
    shown,
    tap,
    two,
    write,
)

from companion.experiments import explorers
from companion.measuring import evaluate, perplexity
from companion.text import one_hot

PARTS = "cell", "h", "i", "f", "o"  # what is mapped
LINES = ["the psychologist leant forward", "qqqq zzzz", "a dim light in it"]


@pytest.fixture(scope="module")
def given():
    return explorers.read("cells")


@pytest.fixture(scope="module")
def reader(given):
    """The chapter's reader, rebuilt by the library."""
    return explorers.fill(explorers.new_reader(), given["weights"])


@pytest.fixture(scope="module")
def begun(given):
    """Its state after 1,000 characters."""
    return tuple(explorers.unpack(part)[None] for part in given["state"])


@pytest.fixture
def cells(once):
    return once("cells")


def encode(given, line):
    return torch.tensor([given["tokens"].index(c) for c in line])


@torch.no_grad()
def held(layer, ids, state=None):
    """Return what the library's layer holds after each character, (T, H) each."""
    inputs = one_hot(ids[:, None], 28, dtype=F64)
    state = state or layer.begin_state(1)
    i, f, candidate, o = explorers.gates(layer, inputs, state)
    found = {"i": i[:, 0], "f": f[:, 0], "candidate": candidate[:, 0], "o": o[:, 0]}
    states = []
    for x in inputs:
        _, state = layer(x[None], state)
        states.append(torch.stack(state)[:, 0])
    h, c = torch.stack(states, dim=1)
    return found | {"h": h, "c": c, "cell": c.tanh()}


@pytest.mark.slow
def test_the_weights_are_those_that_the_command_makes(given, book):
    again = explorers.cells()
    assert (given["tokens"], given["line"]) == (again["tokens"], again["line"])
    same_weights(given["weights"], again["weights"])
    rest = [
        {"h": x["state"][0], "c": x["state"][1], "half-lives": x["half_lives"]}
        for x in (given, again)
    ]
    same_weights(*rest)


def test_the_reader_is_that_of_the_chapter(given, reader, book):
    """It has the perplexity and the half-lives that the chapter prints."""
    ids, _ = book
    held_out, page = ids[len(ids) * 9 // 10 :], printed("06_lstm_internals")
    assert f"held-out perplexity {perplexity(evaluate(reader, held_out)):.1f}," in page
    seen = held(reader.layer, held_out[:4000])
    half_lives = math.log(2) / -seen["f"].log().mean(0)
    close(explorers.unpack(given["half_lives"]), half_lives, atol=1e-5)
    quarters = half_lives.quantile(torch.linspace(0, 1, 5, dtype=F64))
    row = " ".join(f"{value:5.1f}" for value in quarters)
    assert f"trained   half-lives (least, quartiles, largest) {row}" in page
    flat = int((seen["cell"].std(0) < 0.05).sum())
    assert f"tanh c hardly moves: {flat} of 64" in page
    # The first map is the chapter's figure
    assert encode(given, given["line"]).equal(held_out[1000:1030])
    _, state = reader.layer(one_hot(held_out[:1000, None], 28, dtype=F64))
    for ours, theirs in zip(given["state"], state, strict=True):
        close(explorers.unpack(ours), theirs[0].detach(), atol=1e-6)


@pytest.mark.parametrize("line", LINES)
def test_each_number_agrees_within_1e_5(cells, given, reader, begun, line):
    ids = encode(given, line)
    for state in (begun, reader.layer.begin_state(1)):
        ours = call(
            cells,
            "(w, ids, state) => Explorers.trace(Explorers.decode(w), ids, state)",
            given["weights"],
            ids.tolist(),
            [part[0].tolist() for part in state],
        )
        for name, values in held(reader.layer, ids, state).items():
            close([row[name] for row in ours], values, atol=1e-5)


def choose(page, name, value):
    """Choose a radio button with the arrow keys."""
    for _ in range(6):
        focus(page, name)
        if page.evaluate("document.activeElement.value") == value:
            page.press("Space")
        else:
            page.press("ArrowRight")
        if page.evaluate(f"Explorers.mounted.cells.s.{name}") == value:
            return
    raise AssertionError(f"{name} never becomes {value}")


@pytest.mark.parametrize("before", ["read", "empty"])
@pytest.mark.parametrize("line", LINES)
def test_the_readings(cells, given, reader, begun, line, before):
    write(cells, "line", line.upper())  # it is read in small letters
    choose(cells, "before", before)
    found = held(reader.layer, encode(given, line), begun if before == "read" else None)
    calm = int((found["cell"].std(0) < 0.05).sum())
    assert reading(cells) == (
        f"Over these {len(line)} characters tanh c hardly moves "
        f"(standard deviation below 0.05) in {calm} of 64 units."
    )
    half_lives = explorers.unpack(given["half_lives"])
    order = half_lives.argsort()
    for unit, at in ((1, 1), (64, len(line)), (33, 7)):
        move(cells, "unit", unit)
        move(cells, "at", at)
        k, t = order[unit - 1], at - 1
        parts = {name: two(values[t, k].item()) for name, values in found.items()}
        letter = line[t].replace(" ", "␣")
        assert reading(cells, 1) == (
            f"Unit {unit} (half-life {half_lives[k]:.1f} steps) after character {at}, "
            f"“{letter}”: i {parts['i']}, f {parts['f']}, c̃ {parts['candidate']}, "
            f"o {parts['o']}; c {parts['c']}, tanh c {parts['cell']}, h {parts['h']}."
        )


def pixel(page, t, row):
    """Return red, green, blue and opacity in the middle of a place of the map."""
    return page.evaluate(
        f"(() => {{ const map = document.querySelector('canvas'), r = devicePixelRatio;"
        " const cell = Math.min(28, (map.clientWidth - 2) / "
        "Explorers.mounted.cells.s.line.length);"
        f" const x = (1 + ({t} + 0.45) * cell) * r, y = (32 + ({row} + 0.5) * 5) * r;"
        " return Array.from(map.getContext('2d').getImageData(x, y, 1, 1).data) })()"
    )


@pytest.mark.parametrize("part", PARTS)
def test_the_map(cells, given, reader, begun, part):
    choose(cells, "part", part)
    found = held(reader.layer, encode(given, given["line"]), begun)[part]
    order = explorers.unpack(given["half_lives"]).argsort()
    for t, row in ((0, 0), (5, 12), (17, 3), (29, 63), (12, 20), (8, 17)):
        value = found[t, order[row]].item()
        red, _, blue, opacity = pixel(cells, t, row)
        assert abs(opacity / 255 - abs(value)) < 0.01
        if part in ("cell", "h") and abs(value) > 0.1:
            assert (red < blue) == (value > 0)
    label = cells.evaluate(
        "document.querySelector('canvas').getAttribute('aria-label')"
    )
    assert label.startswith("Map of 64 units by 30 characters: ")


def test_a_tap_on_the_map_reads_it_off(cells):
    width = cells.evaluate("document.querySelector('canvas').clientWidth")
    step = min(28, (width - 2) / 30)
    tap(cells, "canvas", 1 + 3.5 * step, 32 + 59.5 * 5)
    cells.wait("Explorers.mounted.cells.s.at === 4")
    assert (shown(cells, "at"), shown(cells, "unit")) == ("4", "60")
    assert reading(cells, 1).startswith("Unit 60 ")


def test_a_line_may_be_short_or_empty(cells):
    write(cells, "line", "x")
    assert reading(cells) == "One character: write more to see what moves."
    cells.press("Backspace")
    assert reading(cells) == "Write a line to read."
    assert reading(cells, 1) == ""
    cells.press("a", "b")
    assert reading(cells).startswith("Over these 2 characters")
    assert shown(cells, "at") == "2"
    cells.press(*"abcdefghijkl")  # long enough for what was chosen
    assert shown(cells, "at") == "11"
    assert not cells.console


def test_what_the_chapter_says_of_the_cells(given, reader, book, said):
    """The stripes, cells that hardly move in 4,000 characters, fill from zeros."""
    ids, _ = book
    piece = ids[len(ids) * 9 // 10 :][:4000]
    cell = held(reader.layer, piece)["cell"]
    flat, sign = cell.std(0) < 0.05, cell.mean(0).sign()
    line = (held(reader.layer, piece[1000:1030])["cell"] * sign)[:, flat]
    full = [step for step in range(1, 31) if bool((line[step - 1 :] > 0.9).all())]
    assert full[0] == 9
    assert (
        "after nine characters of the given line all 40 stripes are back"
        in said["cells"]
    )
    assert int(flat.sum()) == 40
