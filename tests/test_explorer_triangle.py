"""The explorer of chapter 7: messages and truncated gradients are the library's."""

import re

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
    write,
)
from torch.nn import functional as F

from companion import batching
from companion.bptt import rnn_gradients
from companion.experiments import explorers
from companion.language_model import detach_state
from companion.text import one_hot

KINDS = explorers.KINDS
LINES = ["the psychologist leant for", "a dim light", "zq"]


@pytest.fixture(scope="module")
def given():
    return explorers.read("triangle")


@pytest.fixture(scope="module")
def networks(given):
    """The chapter's networks, rebuilt by the library."""
    made = {kind: explorers.new_speaker(kind)[0] for kind in KINDS}
    return {k: explorers.fill(model, given["networks"][k]) for k, model in made.items()}


@pytest.fixture
def triangle(once):
    return once("triangle")


def encode(given, line):
    return torch.tensor([given["tokens"].index(c) for c in line[:25]])


def messages(model, ids):
    """Return, by autograd, what loss t says to state s: (T, T, H), 0 for s > t."""
    states, state, losses = [], None, []
    for t, x in enumerate(one_hot(ids[:-1, None], 28, dtype=F64)):
        _, state = model.layer(x[None], state)
        states.append(state[0])
        logits = state[0] @ model.W_hq + model.b_q
        losses.append(F.cross_entropy(logits, ids[t + 1 : t + 2]))
    found = torch.zeros(len(losses), len(losses), 64, dtype=F64)
    for t, loss in enumerate(losses):
        row = torch.autograd.grad(loss, states[: t + 1], retain_graph=True)
        found[t, : t + 1] = torch.cat(row)
    return found


def same_window(T, window):
    """Return which messages a window keeps, (T, T)."""
    place = torch.arange(T) // window
    return (place[:, None] == place).tril()


def gradient(model, ids, window):
    """Return the layer's gradient, the state detached behind each window."""
    model.zero_grad()
    state = None
    for X, Y in zip(ids[:-1].split(window), ids[1:].split(window), strict=True):
        logits, state = model(X[None], detach_state(state))
        F.cross_entropy(logits, Y, reduction="sum").backward()
    return torch.cat([p.grad.flatten() for p in model.layer.parameters()])


def shares(model, ids, window):
    full, cut = gradient(model, ids, len(ids)), gradient(model, ids, window)
    return [(part.norm() / full.norm()).item() for part in (cut, cut - full)]


PAST = """(kind, ids) => { const E = Explorers, { networks } = E.weights.triangle;
return E.past(E.both(networks[kind]), ids.slice(0, -1), ids.slice(1)) }"""


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("kind", KINDS)
def test_messages_and_gradients_agree_within_1e_5(
    triangle, given, networks, kind, line
):
    ids, model = encode(given, line), networks[kind]
    script = f"(...of) => Explorers.messages(({PAST})(...of))"
    ours = call(triangle, script, kind, ids.tolist())
    for row, wanted in zip(ours[1:], messages(model, ids), strict=True):
        close(row[1:], wanted[: len(row) - 1], atol=1e-5)
    T = len(ids) - 1
    for window in sorted({1, min(3, T), min(7, T), T}):
        script = f"(w, ...of) => Explorers.recurrent(({PAST})(...of), w)"
        ours = call(triangle, script, window, kind, ids.tolist())
        close(ours, gradient(model, ids, window), atol=1e-5)
    inputs, zeros = one_hot(ids[:-1, None], 28, dtype=F64), torch.zeros(1, 64).double()
    weights = *model.layer.parameters(), model.W_hq, model.b_q
    by_hand = rnn_gradients(inputs, ids[1:, None], zeros, *weights)
    whole = torch.cat([by_hand[name].flatten() for name in ("W_xh", "W_hh", "b_h")])
    close(ours, whole.detach(), atol=1e-5)  # the last window was the whole


@pytest.mark.slow
def test_the_weights_are_those_that_the_command_makes(given, book):
    again = explorers.triangle()
    assert (given["tokens"], given["line"]) == (again["tokens"], again["line"])
    for kind in KINDS:
        same_weights(given["networks"][kind], again["networks"][kind])


def test_the_page_finds_what_the_chapter_prints(triangle, book):
    """The mean length of the messages of 64 pieces, by distance."""
    ids, _ = book
    X, Y = next(batching.sequential_batches(ids[len(ids) * 3 // 5 :], 64, 24))
    pieces = torch.cat((X, Y[:, -1:]), dim=1).tolist()
    for kind in KINDS:
        lengths = "Explorers.messages(past).map(row => row.map(d => d && E.norm(d)))"
        script = f"""(kind, pieces) => pieces.map(ids => {{
            const E = Explorers, past = ({PAST})(kind, ids);
            return {lengths}.slice(1).map(row => row.slice(1)) }})"""
        rows = call(triangle, script, kind, pieces)
        size = torch.zeros(24, 24, dtype=F64)
        for t in range(24):
            row = torch.tensor([piece[t] for piece in rows], dtype=F64)
            size[t, : t + 1] = row.mean(0)
        size /= size.diagonal().mean()
        back = [size.diagonal(-k).mean() for k in (0, 1, 2, 4, 8, 16)]
        line = f"{kind:10s} " + " ".join(f"{share:7.4f}" for share in back)
        assert line in printed("07_bptt")


def percent(x):
    return f"{100 * x:.{0 if x >= 0.0995 else 1}f}\xa0%"


def table(page):
    rows = "Array.from(document.querySelectorAll('tbody tr'), r =>"
    return page.evaluate(rows + " Array.from(r.children, c => c.textContent))")


@pytest.mark.parametrize(
    ("line", "window"), [("", 8), ("", 1), ("", 24), *((x, 5) for x in LINES)]
)
def test_the_readings(triangle, given, networks, line, window):
    if line:
        write(triangle, "line", line)
    ids = encode(given, line or given["line"])
    T, window = len(ids) - 1, min(window, len(ids) - 1)
    move(triangle, "window", window)
    same = same_window(T, window)
    assert reading(triangle, 1).startswith(
        f"Windows of {window} keep {same.sum()} of {T * (T + 1) // 2} messages."
    )
    for row, kind in zip(table(triangle), KINDS, strict=True):
        sizes = messages(networks[kind], ids).norm(dim=-1)
        parts = sizes[same].sum() / sizes.sum(), *shares(networks[kind], ids, window)
        assert row == [kind, *map(percent, parts)]
    label = "document.querySelectorAll('svg')[1].getAttribute('aria-label')"
    curves = ", ".join(f"{row[0]} {row[3]}" for row in table(triangle))
    assert triangle.evaluate(label).endswith(f"At {window}: {curves}")
    # The last of these networks is the trained one, which is shown first
    for t, s in {(T, 1), (T, T), (max(1, T - 2), max(1, T // 2))}:
        move(triangle, "t", t)
        move(triangle, "s", s)
        size, own = sizes[t - 1, s - 1].item(), sizes.diagonal().mean().item()
        told = re.fullmatch(
            rf"The loss of step {t} says to the state of step {s}, in the trained "
            r"network: a vector of length (\S+), (.*) of the mean for s = t\. (.*)",
            reading(triangle),
        )
        assert float(told[1]) == float(f"{size:.2g}")
        assert told[2] == percent(size / own)
        cut = f"It is deleted: a window ends at step {-(-s // window) * window}."
        assert told[3] == ("It is kept." if same[t - 1, s - 1] else cut)
    assert not triangle.console


def test_the_picture(triangle, given, networks):
    """Kept and deleted messages, and how dark each is."""
    move(triangle, "window", 5)
    for kind in KINDS:
        focus(triangle, "kind")
        while triangle.evaluate("Explorers.mounted.triangle.s.kind") != kind:
            triangle.press("ArrowRight")
        drawn = triangle.evaluate(
            "Array.from(document.querySelectorAll('[fill-opacity]'), r =>"
            " [r.getAttribute('fill'), +r.getAttribute('fill-opacity')])"
        )
        sizes = messages(networks[kind], encode(given, given["line"])).norm(dim=-1)
        dark = 1 + (sizes / sizes.diagonal().mean()).log10() / 4
        below = torch.ones(24, 24).tril() > 0
        close([opacity for _, opacity in drawn], dark[below].clamp(0, 1), atol=0.001)
        kept = same_window(24, 5)[below].tolist()
        assert ["forget" in fill for fill, _ in drawn] == kept


def test_a_loss_says_nothing_to_a_later_state(triangle):
    move(triangle, "t", 6)
    move(triangle, "s", 9)
    assert (shown(triangle, "t"), shown(triangle, "s")) == ("9", "9")
    move(triangle, "t", 4)  # by way of its first step
    assert (shown(triangle, "t"), shown(triangle, "s")) == ("4", "1")


def test_a_tap_on_a_message_reads_it_off(triangle):
    svg = ".explorer-body svg"
    width = triangle.evaluate(f"document.querySelector('{svg}').clientWidth")
    cell = min(20, (width - 22) / 24)
    height = 24 * cell + 20
    tap(triangle, svg, 20 + 4.5 * cell, height - 15.5 * cell)
    triangle.wait("Explorers.mounted.triangle.s.t === 16")
    assert (shown(triangle, "t"), shown(triangle, "s")) == ("16", "5")
    tap(triangle, svg, 20 + 20.5 * cell, height - 2.5 * cell)  # beside it
    assert (shown(triangle, "t"), shown(triangle, "s")) == ("16", "5")


def test_a_line_may_be_too_short(triangle):
    write(triangle, "line", "x")
    assert reading(triangle).startswith("Write at least two characters")
    triangle.press("y")
    assert reading(triangle, 1).startswith("Windows of 1 keep 1 of 1 messages.")
    triangle.press(*"abcdefgh")  # long enough for what was chosen
    assert reading(triangle, 1).startswith("Windows of 8 keep 37 of 45 messages.")
    assert not triangle.console


def test_what_the_chapter_says_of_the_triangle(given, networks, said):
    ids = encode(given, given["line"])
    for window, cuts in ((10, "two cuts"), (18, "one cut")):
        _, error = shares(networks["trained"], ids, window)
        told = f"{100 * error:.0f} % with windows of {window}, {cuts}"
        assert told in said["triangle"]
        assert (24 - 1) // window == {"two cuts": 2, "one cut": 1}[cuts]
