"""The explorers of the pages, in Chromium: their numbers are those of the library.

`explorer_pages.py` opens their pages.
"""

import json
import math
import re

import pytest
import torch
from explorer_pages import (  # pytest puts the folder of a test on the path
    F64,
    ROOT,
    book,
    browser,
    call,
    close,
    focus,
    move,
    once,
    placed,
    reading,
    show,
    shown,
)
from torch import nn
from torch.nn import functional as F

from companion import batching
from companion.experiments import explorers
from companion.generation import sample
from companion.laboratory.kneser_ney import KneserNey
from companion.language_model import LanguageModel
from companion.lstm import GRU, LSTM
from companion.measuring import evaluate, perplexity
from companion.rnn import RNN
from companion.text import one_hot

NAMES = (
    "batches",
    "memory",
    "cliff",
    "writer",
    "unit",
    "halflife",
    "cells",
    "triangle",
    "names",
)


@pytest.fixture(scope="module")
def kit(show):
    """A page with the kit and the counts; whatever is asked of it is a number."""
    page = show("writer")
    yield page
    assert not page.console


# --- The kit ------------------------------------------------------------------------


def packed(**tensors):
    return {name: explorers.pack(t, torch.float32) for name, t in tensors.items()}


def lively(layer, seed=0):
    """Give each parameter, biases too, numbers of a visible size, exact in float32."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        draw = 0.6 * torch.randn(parameter.shape, generator=generator)
        parameter.data = draw.double()
    return layer


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("embedded", [False, True])
def test_a_network_reads_as_in_the_library(kit, kind, embedded):
    V, D, H = 9, 5, 7
    model = lively(LanguageModel(kind(V, H, dtype=F64), V))
    layer = lively(kind(D, H, dtype=F64), seed=2) if embedded else model.layer
    model.layer = layer
    # More tokens than outputs, as a classifier of names has it
    ids = [3, 0, 8, 1, 1, 7, 2, 4, 6, 5, 0, 3] + [10] * embedded
    table = torch.randn(V + 2, D, generator=torch.Generator().manual_seed(1)).double()
    inputs = table[ids] if embedded else one_hot(torch.tensor(ids), V, dtype=F64)
    states, last = layer(inputs[:, None])
    logits = states[:, 0] @ model.W_hq + model.b_q
    weights = packed(**explorers.names(model))
    if embedded:
        weights["embedding"] = packed(table=table)["table"]
    ours = call(
        kit,
        "(kind, w, ids) => Explorers.network(kind, Explorers.decode(w)).read(ids)",
        kind.__name__.lower(),
        weights,
        ids,
    )
    close(ours["logits"], logits.detach())
    for part, wanted in zip(ours["state"], last, strict=True):
        close(part, wanted[0].detach())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_weights_are_unpacked_bit_by_bit(kit, dtype):
    numbers = [0, -0.0, 1, -2.5, 65504, 6e-8, -3e-5, 1 / 3, 6.1e-5]
    weights = explorers.pack(torch.tensor(numbers).reshape(3, 3), dtype)
    assert weights["shape"] == [3, 3]
    wanted = torch.tensor(numbers, dtype=dtype).double()
    assert torch.equal(explorers.unpack(weights).ravel(), wanted)
    close(call(kit, "Explorers.numbers", weights), wanted, atol=0)


@pytest.mark.parametrize("seed", [0, 1, 37, 123456789])
def test_chance_is_that_of_torch(kit, seed):
    generator = torch.Generator().manual_seed(seed)
    wanted = [int(torch.randint(n, (), generator=generator)) for n in (4, 35, 1000)]
    order = torch.randperm(57, generator=generator).tolist()
    normal = torch.randn(640, generator=generator, dtype=F64)
    ours = call(
        kit,
        """seed => { const g = Explorers.Generator(seed);
        return [[4, 35, 1000].map(g.randint), g.randperm(57), g.randn(640)] }""",
        seed,
    )
    assert ours[:2] == [wanted, order]
    close(ours[2], normal, atol=1e-12)


@pytest.mark.parametrize(
    ("temperature", "k"), [(1, 6), (0.5, 6), (2, 3), (0, 6), (1, 1)]
)
def test_temperature_and_top_k(kit, temperature, k):
    logits = torch.tensor([0.5, 2, -1, 1.5, 0, 3], dtype=F64)
    ours = call(
        kit,
        "(o, ...how) => Explorers.softmax(o, ...how)",
        logits.tolist(),
        temperature,
        k,
    )
    if temperature == 0:
        assert ours[int(sample(logits))] == 1
        assert sum(ours) == 1
        return
    kept = logits.topk(k).indices
    wanted = torch.zeros(6, dtype=F64)
    wanted[kept] = (logits[kept] / temperature).softmax(0)
    close(ours, wanted)


def test_draws_have_their_frequencies(kit):
    P = [0.1, 0, 0.6, 0.3]
    drawn = call(
        kit,
        """P => { const g = Explorers.Generator(5), n = [0, 0, 0, 0];
        for (let i = 0; i < 20000; i++) n[Explorers.choose(P, g)] += 1; return n }""",
        P,
    )
    assert drawn[1] == 0
    close([n / 20000 for n in drawn], P, atol=0.01)


@pytest.mark.parametrize("order", [1, 3, 6])
@pytest.mark.parametrize("length", [40, 1200])
def test_counts(kit, order, length):
    given = explorers.read("writer")
    train, held_out = given["train"][:length], given["held_out"][:200]
    ids = {
        text: torch.tensor([given["tokens"].index(c) for c in text])
        for text in (train, held_out)
    }
    counts = KneserNey(ids[train], order, 28)
    ours = call(
        kit,
        "(train, order, text) =>"
        " Explorers.KneserNey(train, order, 28).surprisals(text)",
        train,
        order,
        held_out,
    )
    close(ours, -counts.probabilities(ids[held_out]).log())


# --- Chapter 1 ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def batches(show):
    return show("batches")


@pytest.mark.parametrize("order", ["sequential", "random"])
@pytest.mark.parametrize(
    ("N", "T", "seed"), [(2, 4, 37), (1, 8, 2), (3, 5, 9), (4, 2, 0)]
)
def test_the_stepper_cuts_as_the_library(batches, order, N, T, seed):
    n = len(batches.evaluate("Explorers.mounted.batches.text"))
    generator = torch.Generator().manual_seed(seed)
    library = getattr(batching, f"{order}_batches")
    wanted = list(library(torch.arange(n), N, T, generator=generator))
    offset = int(torch.randint(T, (), generator=generator.manual_seed(seed)))
    settings = {"order": order, "N": N, "T": T, "offset": offset, "seed": seed}
    ours = call(batches, "(n, s) => Explorers.cut(n, s)", n, settings)
    assert ours == [X[:, 0].tolist() for X, _ in wanted]


def test_the_stepper_shows_what_it_cuts(batches):
    text = batches.evaluate("Explorers.mounted.batches.text")

    def table(name):
        rows = batches.evaluate(
            f"Array.from(document.querySelectorAll('[data-shown={name}]'), row =>"
            " Array.from(row.children, c => c.firstChild.data).join(''))"
        )
        return [row.replace("␣", " ") for row in rows]

    def check(scheme, N, T, seed, b):
        generator = torch.Generator().manual_seed(seed)
        places = torch.arange(len(text))
        cut = list(scheme(places, N, T, generator=generator))
        for name, rows in zip("XY", cut[b], strict=True):
            assert table(name) == [
                "".join(text[i] for i in row) for row in rows.tolist()
            ]
        on = (cut[b][0][:, 0] == cut[b - 1][0][:, 0] + T).sum()
        assert f"{on} of {N} rows go on" in reading(batches)
        assert f"reads {len(cut) * N * T} of {len(text)} tokens" in reading(batches)
        numbered = batches.evaluate(
            "document.querySelectorAll('.explorer-cells:not([data-shown]) sub').length"
        )
        assert numbered == len(cut) * N * T

    assert table("X")[0] == " tim"  # the third picture of the chapter has this offset
    assert "Nothing was read before" in reading(batches)
    move(batches, "b", 2)
    check(batching.sequential_batches, 2, 4, 37, 2)
    focus(batches, "order")
    batches.press("ArrowRight")
    move(batches, "b", 1)
    check(batching.random_batches, 2, 4, 37, 1)
    focus(batches, "epoch")
    batches.press("Enter")
    move(batches, "b", 3)
    check(batching.random_batches, 2, 4, 38, 3)
    move(batches, "T", 2)
    assert int(shown(batches, "offset")) < 2
    assert not batches.console


# --- Chapter 2 ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory(show):
    return show("memory")


def scaled(kind, H, seed, rho, scale):
    """Return the network of the explorer's settings, drawn as the chapter draws."""
    generator = torch.Generator().manual_seed(seed)
    layer = RNN(28, H, dtype=F64)
    W_xh = torch.randn(28, H, generator=generator, dtype=F64)
    W_hh = torch.randn(H, H, generator=generator, dtype=F64) / math.sqrt(H)
    if kind == "orthogonal":
        Q, R = torch.linalg.qr(W_hh)
        W_hh = Q * R.diagonal().sign()  # as torch.nn.init.orthogonal_ has it
    layer.W_xh.data, layer.W_hh.data = scale * W_xh, rho * W_hh
    return layer


@torch.no_grad()
def nudged(layer, ids, place, letter):
    """Return |Δh_t| of each unit, and the gain from the changed place on."""
    twin = ids.clone()
    twin[place] = letter
    states, _ = layer(one_hot(torch.stack((ids, twin), 1), 28, dtype=F64))
    J, gains = torch.eye(layer.hidden_size, dtype=F64), [1.0]
    for h in states[place + 1 :, 0]:
        J = J @ (layer.W_hh * (1 - h**2))
        gains.append(J.norm().item() / math.sqrt(layer.hidden_size))
    return states[:, 0] - states[:, 1], gains


def written(x):
    """Write a number as the explorer does."""
    if 0.1 <= x < 1000:
        digits = max(0, 1 - math.floor(math.log10(x)))
        return f"{x:.{digits}f}"
    mantissa, exponent = f"{x:.0e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


@pytest.mark.parametrize(
    "settings",
    [
        ("normal", 256, 0, 0.577, 0.01, 1, "q"),
        ("normal", 32, 3, 1.5, 0.3, 11, "␣"),
        ("orthogonal", 64, 1, 1, 0.1, 35, "a"),
        ("orthogonal", 128, 0, 0.9, 1, 4, "z"),
        ("orthogonal", 256, 0, 2, 0.2, 5, "q"),
    ],
    ids=str,
)
def test_memory_is_that_of_the_library(memory, book, settings):
    kind, H, seed, rho, scale, place, letter = settings
    focus(memory, "kind")
    memory.press("ArrowRight" if kind == "orthogonal" else "ArrowLeft")
    if memory.evaluate("Explorers.mounted.memory.s.kind") != kind:
        memory.press("ArrowRight")
    wanted = {"H": H, "seed": seed, "rho": rho, "scale": scale, "place": place}
    for name, value in (wanted | {"letter": letter}).items():
        move(memory, name, value)
    memory.wait("Explorers.mounted.memory.found.done")
    ids, vocab = book
    line, there = ids[:35], place - 1
    token = letter.replace("␣", " ")
    layer = scaled(kind, H, seed, rho, scale)
    changes, gains = nudged(layer, line, there, int(vocab.encode(token)))
    found = call(
        memory,
        """() => { const f = Explorers.mounted.memory.found;
        return [f.states.map((h, t) => h.map((x, k) => x - f.twin[t][k])),
                f.lengths, f.gains] }""",
    )
    close(found[0], changes)
    close(found[1], changes.norm(dim=1))
    close(torch.tensor(found[2]) / torch.tensor(gains), [1] * len(gains), atol=1e-6)
    k, first = 35 - place, written(changes[there].norm().item())
    told = reading(memory)
    assert f"‖Δh‖ is {first} there, and " in told
    assert f"{written(changes[-1].norm().item())} at the end" in told
    assert f"gain {written(gains[-1])}, ρ^{k} = {written(rho**k)}" in told
    was = vocab.decode(line[there : there + 1]).replace(" ", "␣")
    assert told.startswith(f"Place {place} reads {letter} instead of {was}:")


def test_the_law_is_one_of_wide_networks(book):
    """What the chapter says about the slider of the units, on the ten draws."""
    ids, _ = book
    off = {}
    for H in (32, 256):
        nets = [scaled("normal", H, seed, 0.577, 0.01) for seed in range(10)]
        last = [nudged(net, ids[:35], 0, 26)[1][-1] / 0.577**34 for net in nets]
        off[H] = [max(x, 1 / x) for x in last]
    assert max(off[256]) < 4
    assert sum(x > 10 for x in off[32]) == 4


# --- Chapter 3 ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def cliff(show):
    return show("cliff")


def cliff_loss(w, b):
    up, down = torch.full_like(w, 0.5), torch.full_like(w, -0.5)
    for _ in range(20):
        up, down = torch.tanh(w * up + b), torch.tanh(w * down + b)
    return ((up - 0.7) ** 2 + (down + 0.7) ** 2) / 2


def descend(w, b, theta, rate, steps=100):
    """Return the path, the longest step and how many steps were clipped."""
    points, norms = [torch.tensor([w, b], dtype=F64)], []
    for _ in range(steps):
        parameter = nn.Parameter(points[-1].clone())
        cliff_loss(*parameter).backward()
        norms.append(nn.utils.clip_grad_norm_(parameter, theta).item())
        g = parameter.grad
        if norms[-1] > theta:  # PyTorch's radius is shorter by a part in a million
            g = g * (theta / g.norm())
        points.append(points[-1] - rate * g)
    longest = rate * max(min(norm, theta) for norm in norms)
    return torch.stack(points), longest, sum(norm > theta for norm in norms)


def test_the_cliff_is_that_of_the_chapter(cliff):
    page = json.loads((ROOT / "book/03_gradient_clipping.ipynb").read_text("utf-8"))
    source = "".join("".join(cell["source"]) for cell in page["cells"])
    lines = source[source.index("def cliff_loss") : source.index("def descend")]
    scope = {"torch": torch}
    exec(lines, scope)
    for w, b in [(1.24, 0), (1.5, 0.4), (0.9, -0.5), (1.3, 0.1), (1.22, 0.09)]:
        point = torch.tensor([w, b], dtype=F64, requires_grad=True)
        loss = scope["cliff_loss"](*point)
        assert torch.equal(loss, cliff_loss(*point))
        (g,) = torch.autograd.grad(loss, point)
        ours = call(cliff, "Explorers.cliff", w, b)
        close([ours["loss"], ours["w"], ours["b"]], [loss.item(), *g.tolist()])


@pytest.mark.parametrize(
    ("w", "b", "theta", "rate"),
    [
        (1.5, 0.4, math.inf, 0.1),
        (1.5, 0.4, 0.5, 0.1),
        (1.1, -0.3, 0.5, 0.1),
        (1.6, 0.05, 1.0, 0.02),
        (1.5, 0.4, 0.1, 0.3),
    ],
)
def test_a_walk_is_that_of_the_library(cliff, w, b, theta, rate):
    path, longest, clipped = descend(w, b, theta, rate)
    # JSON has no infinity
    ours = call(cliff, "Explorers.descend", w, b, min(theta, 1e300), rate)
    close(ours["path"], path, atol=1e-5)
    assert abs(ours["longest"] - longest) < 1e-5
    assert ours["clipped"] == clipped


def test_the_shares_are_those_that_the_chapter_prints(cliff):
    page = json.loads((ROOT / "book/03_gradient_clipping.ipynb").read_text("utf-8"))
    (table,) = [
        "".join(output["text"])
        for cell in page["cells"]
        for output in cell.get("outputs", [])
        if "theta=inf, steps=100" in "".join(output.get("text", ""))
    ]
    for theta in ("inf", "1.0", "0.5"):
        printed = re.search(rf"rate=0.1, theta={theta}, steps=100: (\d+)%", table)[1]
        radius = min(float(theta), 1e300)
        count = call(cliff, "Explorers.arrived", radius, 0.1)
        assert round(100 * count / 121) == int(printed)


def test_the_readings_of_the_cliff(cliff):
    for name, value in {"rate": 0.05, "theta": 1, "w": "1.60", "b": "-0.20"}.items():
        move(cliff, name, value)
    move(cliff, "step", 60)
    rows = cliff.evaluate(
        "Array.from(document.querySelectorAll('tbody tr'), r =>"
        " Array.from(r.children, c => c.textContent))"
    )
    for (name, end, loss, longest, clipped), theta in zip(
        rows, (math.inf, 1.0), strict=True
    ):
        path, far, count = descend(1.6, -0.2, theta, 0.05)
        there = [round(x, 1) + 0.0 for x in path[60].tolist()]
        wanted = f"{there[0]:.1f}, {there[1]:.1f}".replace("-", "−")
        assert (name, end) == ("clip" if theta == 1 else "no clip", wanted)
        assert loss == f"{cliff_loss(*path[60]):.2f}"
        assert (longest, clipped) == (f"{far:.2f}", str(count))
    share = round(100 * call(cliff, "Explorers.arrived", 1, 0.05) / 121)
    assert f"{share} % with θ = 1" in reading(cliff)


def test_a_tap_on_the_map_moves_the_start(cliff):
    x, y, width, height = cliff.evaluate(
        "(() => { const i = document.querySelector('svg image');"
        " i.scrollIntoView({block: 'center'}); const b = i.getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height] })()"
    )
    cliff.tap(x + width / 4, y + height * 2 / 11)
    cliff.wait("Explorers.mounted.cliff.s.w === 1.1")
    assert (shown(cliff, "w"), shown(cliff, "b")) == ("1.10", "0.40")


# --- Chapter 4 ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def given():
    return explorers.read("writer")


@pytest.fixture(scope="module")
def networks(given):
    """The network of each snapshot, rebuilt by the library."""
    snapshots = given["snapshots"]
    return {
        s["epoch"]: explorers.fill(explorers.new_writer()[0], s["weights"])
        for s in snapshots
    }


@pytest.fixture(scope="module")
def texts(given):
    return {
        name: torch.tensor([given["tokens"].index(c) for c in given[name]])
        for name in ("train", "held_out")
    }


@pytest.fixture(scope="module")
def writer(show):
    return show("writer")


def test_the_weights_are_those_that_the_command_makes(given, book):
    ids, vocab = book
    assert given["tokens"] == explorers.tokens(vocab)
    assert given["train"] + given["held_out"] == vocab.decode(ids[: 2 * explorers.PAGE])
    again = explorers.writer((0, 5, 10))
    for ours, theirs in zip(given["snapshots"], again["snapshots"], strict=False):
        assert ours["epoch"] == theirs["epoch"]
        for name, packed in ours["weights"].items():
            wanted = explorers.unpack(theirs["weights"][name])
            # Rounded to float16, after a training that rounds in its own way
            torch.testing.assert_close(
                explorers.unpack(packed), wanted, rtol=2e-3, atol=1e-5
            )
    assert given["order"] == again["order"]
    best = min(given["snapshots"], key=lambda s: s["held_out"])
    assert given["best"] == best["epoch"] == 20


@pytest.mark.parametrize("epoch", explorers.EPOCHS)
def test_scores_of_each_snapshot(writer, given, networks, texts, epoch):
    move(writer, "epoch", epoch)
    scores = {
        name: perplexity(evaluate(networks[epoch], ids)) for name, ids in texts.items()
    }
    recorded = next(s for s in given["snapshots"] if s["epoch"] == epoch)
    counts = KneserNey(texts["train"], given["order"], 28)
    counted = {
        name: math.exp(-counts.probabilities(ids).log().mean())
        for name, ids in texts.items()
    }
    for name, score in scores.items():
        assert abs(recorded[name] / score - 1) < 1e-6
    assert reading(writer) == (
        f"Perplexity after {epoch} readings: page {scores['train']:.2f}, "
        f"next page {scores['held_out']:.2f}. Counts of the page: "
        f"{counted['train']:.2f} and {counted['held_out']:.2f}."
    )


def test_logits_on_held_out_text_agree_within_1e_5(writer, given, networks, texts):
    ids = texts["held_out"][:300]
    for snapshot in given["snapshots"]:
        with torch.no_grad():
            logits, (h,) = networks[snapshot["epoch"]](ids[None])
        ours = call(
            writer,
            "(w, ids) => Explorers.network('rnn', Explorers.decode(w)).read(ids)",
            snapshot["weights"],
            ids.tolist(),
        )
        close(ours["logits"], logits, atol=1e-5)
        close(ours["state"][0], h[0], atol=1e-5)


def type_prefix(page, text):
    focus(page, "prefix")
    page.evaluate("document.activeElement.select()")
    page.press(*text)


@pytest.mark.parametrize(
    ("tau", "k"), [(1, "all"), (0.5, "all"), (2, 5), ("0, greedy", 3)]
)
def test_the_next_character(writer, given, networks, texts, tau, k):
    move(writer, "epoch", 50)
    move(writer, "temperature", tau)
    move(writer, "topK", k)
    type_prefix(writer, "the dim")
    bars = writer.evaluate(
        "Array.from(document.querySelectorAll('.explorer-bars > *'),"
        " n => n.textContent)"
    )
    ids = torch.tensor([given["tokens"].index(c) for c in "the dim"])
    with torch.no_grad():
        logits = networks[50](ids[None])[0][-1]
    kept = logits.topk(28 if k == "all" else k).indices
    P = torch.zeros(28, dtype=F64)
    P[kept] = (logits[kept] / tau).softmax(0) if tau in (0.5, 1, 2) else 0
    if tau == "0, greedy":
        P[sample(logits)] = 1
    values, order = P.sort(descending=True, stable=True)
    assert bars[2::3] == [f"{p:.3f}" for p in values[:8].tolist()]
    positive = int((values[:8] > 0).sum())
    letters = [given["tokens"][i].replace(" ", "␣") for i in order]
    assert bars[0::3][:positive] == letters[:positive]


@pytest.mark.parametrize(("epoch", "copied"), [(20, 0), (200, 56), (400, 101)])
def test_greedy_text_is_that_of_the_library(writer, given, networks, epoch, copied):
    move(writer, "epoch", epoch)
    move(writer, "temperature", "0, greedy")
    type_prefix(writer, "time traveller ")
    focus(writer, "write60")
    writer.press("Enter", "Enter")
    text = writer.evaluate("document.querySelector('.explorer-written').textContent")
    ids = torch.tensor([given["tokens"].index(c) for c in "time traveller "])
    state, fresh, wanted = None, ids[None], ""
    with torch.no_grad():
        for _ in range(120):
            logits, state = networks[epoch](fresh, state)
            fresh = sample(logits[-1]).reshape(1, 1)
            wanted += given["tokens"][int(fresh)]
    assert text == "time traveller " + wanted
    windows = [wanted[i : i + 20] for i in range(101)]
    found = sum(window in given["train"] for window in windows)
    assert reading(writer, 1).startswith(f"{found} of 101 stretches of 20 characters")
    assert found == copied


@pytest.mark.parametrize("text", ["train", "held_out"])
def test_the_surprisal_of_a_character(writer, given, networks, texts, text):
    move(writer, "epoch", 100)
    focus(writer, "text")
    writer.press("ArrowLeft" if text == "train" else "ArrowRight")
    chosen = "heldOut" if text == "held_out" else "train"
    if writer.evaluate("Explorers.mounted.writer.s.text") != chosen:
        writer.press("ArrowRight")
    move(writer, "at", 21)
    ids, place = texts[text], 1020
    counts = KneserNey(texts["train"], given["order"], 28)
    with torch.no_grad():
        logits, _ = networks[100](ids[None, :place])
    network = F.cross_entropy(logits[-1], ids[place]).item()
    counted = -counts.probabilities(ids)[place - 1].log().item()
    told = reading(writer, 2)
    assert f"“{given[text][place]}”".replace(" ", "␣") in told
    assert f"network {network:.2f} nats" in told
    assert f"counts {counted:.2f} nats" in told
    colours = writer.evaluate(
        "Array.from(document.querySelectorAll('.explorer-passage span'), s =>"
        " +s.getAttribute('style').match(/(\\d+)%/)[1])"
    )
    with torch.no_grad():
        logits, _ = networks[100](ids[None])
    nats = F.cross_entropy(logits[:-1], ids[1:], reduction="none")[999:]
    wanted = [75 * min(1, x / 6) for x in nats[: len(colours)].tolist()]
    close(colours, wanted, atol=0.51)


def test_a_tap_on_a_character_reads_it_off(writer):
    x, y = writer.evaluate(
        "(() => { const s = document.querySelector('[data-at=\"7\"]');"
        " s.scrollIntoView({block: 'center'}); const b = s.getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2] })()"
    )
    writer.tap(x, y)
    writer.wait("Explorers.mounted.writer.s.at === 7")
    assert shown(writer, "at") == "7"


# --- Every explorer -----------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("name", NAMES)
def test_it_fits_the_screen(once, name, width, dark):
    page = once(name, width=width, dark=dark)
    pictures = "Array.from(document.querySelectorAll('[role=img]'))"
    assert page.evaluate(f"{pictures}.every(p => p.getAttribute('aria-label'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        """Array.from(document.querySelectorAll('.explorer-body *')).filter(n =>
        n.textContent && n.getClientRects().length &&
        parseFloat(getComputedStyle(n).fontSize) < 10.6).map(n => n.outerHTML)"""
    )
    assert not small
    text = page.evaluate(
        "getComputedStyle(document.querySelector('.explorer-body')).color"
    )
    assert text == ("rgb(238, 238, 238)" if dark else "rgb(17, 17, 17)")
    assert not page.console
    outside = page.evaluate(
        "performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(n => !n.startsWith('file:') && !n.startsWith('data:'))"
    )
    assert not outside


@pytest.mark.parametrize("name", NAMES)
def test_keys_reach_and_move_each_control(once, name):
    page = once(name)
    controls = page.evaluate(
        "[...new Set(Array.from(document.querySelectorAll('[data-name]'),"
        " n => n.dataset.name))]"
    )
    for control in controls:
        focus(page, control)
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"{control} shows no focus"
    for control in controls:
        focus(page, control)
        kind = page.evaluate("document.activeElement.type")
        if kind == "range":
            page.press("Home")
            first = shown(page, control)
            page.press("End")
            single = page.evaluate("document.activeElement.max === '0'")
            assert (shown(page, control) == first) == single
            said = page.evaluate(
                "document.activeElement.getAttribute('aria-valuetext')"
            )
            assert said == shown(page, control) != ""
    roles = {"slider", "radio", "button", "textbox", "image", "img", "group"}
    for node in page.nodes():
        role = node.get("role", {}).get("value")
        if role in roles and not node.get("ignored"):
            assert node.get("name", {}).get("value"), f"a {role} without a name"
    assert not page.console


@pytest.mark.parametrize("name", NAMES)
def test_the_theme_can_change_while_it_is_open(once, name):
    page = once(name)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("new Promise(requestAnimationFrame)")
    data = "getComputedStyle(document.querySelector('.explorer-body'))"
    assert page.evaluate(f"{data}.getPropertyValue('--data-1').trim()") == "#56b4e9"
    assert not page.console


def test_motion_stops_where_it_is_not_wanted(once):
    style = "getComputedStyle(document.querySelector('.explorer-bars i'))"
    for calm in (False, True):
        page = once("writer", calm=calm)
        seconds = page.evaluate(f"{style}.transitionDuration")
        assert (seconds == "0s") == calm


@pytest.mark.parametrize("name", NAMES)
def test_without_scripts_the_text_remains(once, name):
    page = once(name, ready="", scripts=False)
    node = "document.querySelector('.explorer')"
    assert page.evaluate(f"{node}.textContent") == "What to try."


def test_a_missing_file_leaves_the_text(once, tmp_path):
    for file in ("loader.js", "kit.js", "ui.js", "explorers.css", "counts.js"):
        (tmp_path / file).write_bytes((explorers.FOLDER / file).read_bytes())
    page = once(
        "writer",
        folder=tmp_path,
        ready="document.querySelector('.explorer').dataset.state === 'failed'",
    )
    assert (
        page.evaluate("document.querySelector('.explorer').textContent")
        == "What to try."
    )
    assert any("explorer writer" in line for line in page.console)


# --- The pages ----------------------------------------------------------------------


def test_each_explorer_has_its_place_beside_a_still_figure():
    pages = {name: (stem, text) for name, stem, text in placed()}
    assert sorted(pages) == sorted(NAMES)
    for name, (stem, text) in pages.items():
        block = text[text.index(f'data-explorer="{name}"') :]
        block = block[: block.index("</div>")]
        assert "{numref}" in block, stem  # where nothing is live, a figure stands in
        assert len(block.split()) > 20, stem


def test_what_the_pages_say_of_the_explorers(batches, cliff, given, networks):
    said = {name: " ".join(text.split()) for name, _, text in placed()}
    n = len(batches.evaluate("Explorers.mounted.batches.text"))
    widest = {"order": "sequential", "N": 4, "T": 8, "offset": 0, "seed": 0}
    for offset in range(8):
        cut = call(
            batches, "(n, s) => Explorers.cut(n, s)", n, widest | {"offset": offset}
        )
        assert len(cut) * 32 == 32
    assert f"$N = 4$ and $T = 8$ use: 32 of {n}." in said["batches"]

    rates = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3]
    radii = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20]
    best = []
    for rate in rates:
        free, *held = call(
            cliff,
            "(rate, radii) => radii.map(t => Explorers.arrived(t, rate) / 121)",
            rate,
            [1e300, *radii],
        )
        assert free < 1 / 3
        if rate >= 0.07:
            assert max(held) > 0.8
            best.append(radii[held.index(max(held))])
    assert best == sorted(best, reverse=True)
    assert best[0] > best[-1]

    scores = {s["epoch"]: f"{s['held_out']:.2f}" for s in given["snapshots"]}
    assert f"climbs from {scores[20]} to {scores[400]}" in said["writer"]
    ids = torch.tensor([given["tokens"].index(c) for c in "time traveller "])
    shares = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        state, fresh, text = None, ids[None], ""
        with torch.no_grad():
            for _ in range(120):
                logits, state = networks[400](fresh, state)
                fresh = sample(logits[-1], temperature=1, generator=generator)
                fresh = fresh.reshape(1, 1)
                text += given["tokens"][int(fresh)]
        shares.append(sum(text[i : i + 20] in given["train"] for i in range(101)) / 101)
    assert sum(shares) / 20 < 0.1


def test_the_loader_is_on_each_page():
    config = (ROOT / "_config.yml").read_text("utf-8")
    assert re.search(
        r"html_js_files: \[.*explorers/loader.js, \{defer: defer\}", config
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_explorer_is_light(name):
    loader = (explorers.FOLDER / "loader.js").read_text("utf-8")
    own = re.search(rf"^ +{name}: \[(.*)\],$", loader, re.M)[1]
    files = [*re.findall(r'"([\w.-]+)"', own), "loader.js", "kit.js", "ui.js"]
    total = sum(
        (explorers.FOLDER / f).stat().st_size for f in [*files, "explorers.css"]
    )
    assert total <= 400_000
