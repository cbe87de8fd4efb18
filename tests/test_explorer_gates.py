"""The explorers of chapter 6 on gates: one unit, and its half-life."""

import math
import re

import pytest
import torch
from explorer_pages import (
    F64,
    browser,
    call,
    close,
    focus,
    move,
    once,
    printed,
    reading,
    said,
    show,
    two,
)

from companion.lstm import LSTM
from companion.text import one_hot


def pushed(page, *names):
    """Push buttons, by the keyboard."""
    for name in names:
        focus(page, name)
        page.press("Enter")


# --- One unit -----------------------------------------------------------------------


@pytest.fixture
def unit(once):
    return once("unit")


def parts(page):
    states = call(page, "() => Explorers.mounted.unit.states")
    return [[state[name] for state in states] for name in "hc"]


@pytest.mark.parametrize("stream", ["+.-.?", "-.+.?", "+" + 20 * "." + "?", "?--?"])
def test_the_latch_is_that_of_the_library(unit, stream):
    layer = LSTM(4, 1, dtype=F64)
    weights = [
        [10, -10, 10, -10],
        [10, -10, -10, -10],
        [-10, 10, 10, -10],
        [-10] + 3 * [10],
    ]
    layer.W_x.data, layer.W_h.data = torch.tensor(weights, dtype=F64), 0 * layer.W_h
    ids = torch.tensor(["+-.?".index(token) for token in stream])
    h, c, state = [0.0], [0.0], None
    for x in one_hot(ids[:, None], 4, dtype=F64):
        with torch.no_grad():
            _, state = layer(x[None], state)
        h.append(state[0].item())
        c.append(state[1].item())
    pushed(unit, *(f"token{i}" for i in ids.tolist()))
    close(parts(unit), [h, c], atol=1e-12)
    assert f"After {len(stream)} steps c = {two(c[-1])}, h = {two(h[-1])}." in reading(
        unit
    )
    pushed(unit, "restart")
    assert parts(unit) == [[0], [0]]


def turned(c, i, f, candidate, o):
    """Let the library's unit take a step from c, its gates set by their biases."""
    layer = LSTM(1, 1, dtype=F64)
    gates = [torch.tensor(gate, dtype=F64).logit() for gate in (i, f, o)]
    gates.insert(2, torch.tensor(candidate, dtype=F64).atanh())
    layer.W_x.data, layer.W_h.data, layer.b.data = (
        0 * layer.W_x,
        0 * layer.W_h,
        torch.stack(gates),
    )
    zero = torch.zeros(1, 1, dtype=F64)
    with torch.no_grad():
        _, (h, c) = layer(zero[None], (zero, zero + c))
    return h.item(), c.item()


def test_gates_under_sliders(unit):
    h, c = [0.0], [0.0]
    shut, wide = 1 / (1 + math.exp(10)), 1 / (1 + math.exp(-10))
    for gates in (
        {"i": 0.35, "f": 0.8, "candidate": -0.4, "o": 0.65},
        {"i": wide, "f": shut, "candidate": 0.9, "o": 0.15},
        {"i": shut, "f": wide, "candidate": -0.7, "o": shut},
        {"i": 0.7, "f": wide, "candidate": 0.6, "o": wide},
    ):
        for name, value in gates.items():
            move(unit, name, two(value))
        h_next, c_next = turned(c[-1], **gates)
        told = reading(unit)
        assert f"c = f c + i c̃ = {two(gates['f'])} · {two(c[-1])} + " in told
        assert (
            f" + {two(gates['i'])} · {two(gates['candidate'])} = {two(c_next)}," in told
        )
        shows = f"h = o tanh c = {two(gates['o'])} · {two(math.tanh(c_next))}"
        assert told.endswith(f"{shows} = {two(h_next)}.")
        for _ in range(10):
            h_next, c_next = turned(c[-1], **gates)
            h.append(h_next)
            c.append(c_next)
        pushed(unit, "ten")
    close(parts(unit), [h, c], atol=1e-9)
    labels = unit.evaluate("document.querySelector('svg').getAttribute('aria-label')")
    assert reading(unit) in labels


def test_what_the_chapter_says_of_the_unit(unit, said):
    assert "come to rest, at $i \\tilde c / (1 - f) = 5$ nearly" in said["unit"]
    pushed(unit, "ten", "ten", "ten")
    h, c = (part[-1] for part in parts(unit))
    assert 4.7 < c < 5
    move(unit, "i", "0.00")
    pushed(unit, "ten")
    lost_h, lost_c = (
        1 - part[-1] / before for part, before in zip(parts(unit), (h, c), strict=True)
    )
    assert abs(lost_c - 2 / 3) < 0.03
    assert (
        f"now $c$ loses two thirds, $h$ {lost_h:.0%}".replace("%", " %") in said["unit"]
    )


# --- The half-life ------------------------------------------------------------------


@pytest.fixture(scope="module")
def halflife(show):
    return show("halflife")


def left(b, k):
    """Return what the library's unit keeps of a cell of 1, b being its forget bias."""
    layer = LSTM(1, 1, forget_bias=b, dtype=F64)
    layer.W_x.data, layer.W_h.data = 0 * layer.W_x, 0 * layer.W_h
    zero = torch.zeros(1, 1, dtype=F64)
    with torch.no_grad():
        _, (_, c) = layer(torch.zeros(k, 1, 1, dtype=F64), (zero, zero + 1))
    return c.item()


@pytest.mark.parametrize("b", [-2, -0.5, 0, 1, 2, 3, 5, 10])
def test_the_half_life(halflife, b):
    move(halflife, "bias", f"{b:.1f}".replace("-", "−"))
    for k in (1, 35, 500):
        move(halflife, "k", k)
        kept = left(b, k)
        close(call(halflife, "Explorers.kept", b, [k]), [kept], atol=1e-12)
        wanted = f"{kept:.3f}"
        if kept < 0.001:  # JavaScript writes no zero before the exponent
            wanted = re.sub(r"e-0*", "e−", f"{kept:.1e}")
        if kept < 1e-300:  # it has no numbers for what is far below
            wanted = "less than 1e−300"
        plural = "s" * (k > 1)
        assert f"After {k} step{plural} {wanted} of the cell is left." in reading(
            halflife
        )
    steps = math.log(2) / -math.log(1 / (1 + math.exp(-b)))
    close(call(halflife, "Explorers.halfLife", b), steps, atol=1e-6)
    told = f"{steps:,.1f}" if steps < 1000 else f"{steps:,.0f}"
    assert f"half-life ln 2 / −ln σ(b_f) = {told} steps" in reading(halflife)
    page = printed("06_lstm_internals")
    if b in (0, 1, 2, 3, 5):  # the table of the chapter
        gate = f"{1 / (1 + math.exp(-b)):.3f}"
        assert re.search(rf"^ +{b} +{gate} +{told} ", page, re.M)
    if b == 10:  # its latch
        assert f"half-life: {told} steps" in page


def test_what_the_chapter_says_of_the_half_life(halflife, said):
    assert (
        "from 2 on each 1 added to $b_f$ multiplies the half-life by nearly $e$"
        in said["halflife"]
    )
    for b in range(2, 10):
        ratio = call(
            halflife, "b => Explorers.halfLife(b + 1) / Explorers.halfLife(b)", b
        )
        assert 2.6 < ratio < math.e
    assert call(halflife, "Explorers.halfLife", 9.6) > 10_000  # within the slider
