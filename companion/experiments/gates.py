"""The long experiments of laboratory B: what gates buy on the adding task.

``python -m companion.experiments lab_b`` records them. A job trains one layer with one
way to begin, at several learning rates and from several seeds, all of them at once: a
stack of M networks whose parameters have M as their first dimension, so that a step of
all of them is one batched product.
"""

import math

import torch
from torch import Tensor

from companion.laboratory.adding import adding_batch

GATES = {"RNN": 1, "ReLU": 1, "GRU": 3, "LSTM": 4}  # blocks of W_h
HIDDEN, BATCH, TEST, EVERY = 32, 64, 256, 10
SOLVED = 1 / 60  # a tenth of the error of always answering 1


# --- A stack of networks --------------------------------------------------------------


def shapes(kind: str, hidden: int = HIDDEN) -> dict[str, tuple[int, int]]:
    """Shapes of one network's parameters, in the order in which they lie in a row."""
    width = GATES[kind] * hidden
    return {
        "W_x": (2, width),
        "W_h": (hidden, width),
        "b": (1, width),
        "W_q": (hidden, 1),
        "b_q": (1, 1),
    }


def start(
    kind: str, how: str, bias: float = 0.0, seed: int = 0, hidden: int = HIDDEN
) -> Tensor:
    """Draw the parameters of one network, in a row, in float64.

    Weights are uniform within 1/sqrt(H), or normal with the standard deviation that
    ``how`` names; with "orthogonal" or "identity" each block of W_h is that instead. A
    number after the word multiplies W_x. Biases are zero, but for ``bias`` on the gate
    that keeps the state. PyTorch's order: GRU r, z, candidate; LSTM i, f, candidate, o.
    """
    generator = torch.Generator().manual_seed(seed)
    like = {"generator": generator, "dtype": torch.float64}
    found, width = {}, hidden**-0.5
    name, *factor = how.split()
    for key, shape in shapes(kind, hidden).items():
        if key in ("b", "b_q"):
            found[key] = torch.zeros(shape, dtype=torch.float64)
        elif name.replace(".", "").isdigit():
            found[key] = float(name) * torch.randn(shape, **like)
        else:
            found[key] = (2 * torch.rand(shape, **like) - 1) * width
    for block in found["W_h"].split(hidden, 1):
        if name == "orthogonal":
            q, r = torch.linalg.qr(torch.randn(hidden, hidden, **like))
            block.copy_(q * r.diagonal().sign())
        elif name == "identity":
            block.copy_(torch.eye(hidden))
    for number in factor:
        found["W_x"] *= float(number)
    if kind in ("GRU", "LSTM"):
        found["b"][:, hidden : 2 * hidden] = bias
    return torch.cat([part.flatten() for part in found.values()])


def unpack(kind: str, rows: Tensor, hidden: int = HIDDEN) -> dict[str, Tensor]:
    """Split rows (M, P) into parameters, (M, ...) each."""
    named = shapes(kind, hidden)
    parts = rows.split([math.prod(shape) for shape in named.values()], dim=1)
    return {
        key: part.view(-1, *shape)
        for (key, shape), part in zip(named.items(), parts, strict=True)
    }


def begin_state(kind: str, like: Tensor, hidden: int = HIDDEN) -> list[Tensor]:
    """Zeros: (M, N, H), and once more for the cell of an LSTM."""
    parts = 2 if kind == "LSTM" else 1
    return [like.new_zeros(*like.shape[1:3], hidden) for _ in range(parts)]


def advance(kind: str, p: dict[str, Tensor], inputs: Tensor, state: list) -> list:
    """Read the inputs (T, M, N, 2) and return the state after them."""
    for x in inputs:
        mine = torch.baddbmm(p["b"], x, p["W_x"])
        h = state[0]
        if kind == "RNN":
            state = [torch.baddbmm(mine, h, p["W_h"]).tanh()]
        elif kind == "ReLU":
            state = [torch.baddbmm(mine, h, p["W_h"]).relu()]
        elif kind == "GRU":
            theirs, H = h @ p["W_h"], h.shape[2]
            gates = (mine[..., : 2 * H] + theirs[..., : 2 * H]).sigmoid()
            r, z = gates.chunk(2, -1)
            candidate = torch.addcmul(mine[..., 2 * H :], r, theirs[..., 2 * H :])
            state = [torch.lerp(candidate.tanh(), h, z)]
        else:
            i, f, g, o = torch.baddbmm(mine, h, p["W_h"]).chunk(4, -1)
            c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            state = [o.sigmoid() * c.tanh(), c]
    return state


def errors(kind: str, p: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each network, (M,); targets are (M, N)."""
    hidden = p["W_h"].shape[1]
    h, *_ = advance(kind, p, inputs, begin_state(kind, inputs, hidden))
    answers = torch.baddbmm(p["b_q"], h, p["W_q"]).squeeze(2)
    return (answers - targets).square().mean(1)


def log_gains(kind: str, rows: Tensor, steps: int, sequences: int = 8) -> Tensor:
    """Return log10 of the memory gain of each network over the adding task, (M,).

    The norm of the derivative of the last state with respect to the first, divided by
    the square root of the numbers in a state; the mean over some sequences.
    """
    p = unpack(kind, rows)
    generator = torch.Generator().manual_seed(20_000 + steps)
    inputs, _ = adding_batch(sequences, steps, generator=generator, dtype=rows.dtype)
    size = HIDDEN * (2 if kind == "LSTM" else 1)
    # One copy of a sequence for each number of the state: row n gives that number's
    # derivatives, and one backward pass all of them.
    inputs = inputs.repeat_interleave(size, 1)[:, None].expand(-1, len(rows), -1, -1)
    first = [part.requires_grad_() for part in begin_state(kind, inputs)]
    last = advance(kind, p, inputs, first)
    one = torch.eye(size, dtype=rows.dtype).repeat(sequences, 1)
    one = one.expand(len(rows), -1, -1).split(HIDDEN, 2)
    J = torch.cat(torch.autograd.grad(last, first, one), 2)  # (M, sequences * S, S)
    J = J.reshape(len(rows), sequences, size, size)
    return (J.norm(dim=(2, 3)) / math.sqrt(size)).log10().mean(1)


# --- Training -------------------------------------------------------------------------


def finite(number: float) -> float | None:
    """Return a number as a record can hold it."""
    return number if math.isfinite(number) else None


def finished(solved: dict[tuple[float, int], int], rates: tuple, seeds: range) -> bool:
    """Tell whether all runs of some rate are solved: that rate is the layer's best."""
    return any(all((rate, seed) in solved for seed in seeds) for rate in rates)


def stack(
    kind: str,
    length: int,
    rates: tuple[float, ...],
    how: str,
    bias: float = 0.0,
    *,
    seeds: int = 5,
    clip: float | None = 1.0,
    budget: int = 10_000,
    dtype: torch.dtype = torch.float32,
    stop: bool = True,
) -> list[dict]:
    """Train at each rate from each seed on fresh sequences until the task is solved.

    Adam, minibatches of 64. A run is solved when its error on 256 test sequences,
    looked at every 10 minibatches, is below a tenth of the baseline's. The job ends
    as soon as all runs of some rate are solved, or after ``budget`` minibatches. The
    runs of one seed begin alike and see the same sequences.

    Returns:
        For each run its rate and seed; "solved", a number of minibatches or None;
        "steps" that were trained; "error", the last on the test sequences; "clipped",
        the steps whose gradient was longer than 1, and "longest", the longest; and
        "gain", log10 at the start and at the end.
    """
    runs = [(rate, seed) for rate in rates for seed in range(seeds)]
    rows = torch.stack([start(kind, how, bias, seed) for _, seed in runs])
    before = log_gains(kind, rows[:seeds], length).tolist() * len(rates)
    rows = rows.to(dtype).requires_grad_()
    m, v = torch.zeros_like(rows), torch.zeros_like(rows)
    clipped, longest = torch.zeros(2, len(runs), dtype=dtype)
    streams = [torch.Generator().manual_seed(1000 + seed) for seed in range(seeds)]
    judge = torch.Generator().manual_seed(10_000 + length)
    test = adding_batch(TEST, length, generator=judge, dtype=torch.float64)
    test_X, test_y = (part.to(dtype) for part in test)
    alive, results, solved = list(range(len(runs))), {}, {}

    def leave(places: list[int], step: int, error: Tensor) -> None:
        nonlocal rows, m, v, alive
        after = log_gains(kind, rows[places].detach().double(), length).tolist()
        for place, gain in zip(places, after, strict=True):
            run = alive[place]
            rate, seed = runs[run]
            results[run] = {
                "rate": rate,
                "seed": seed,
                "solved": solved.get(runs[run]),
                "steps": step,
                "error": finite(error[place].item()),
                "clipped": int(clipped[run]),
                "longest": finite(longest[run].item()),
                "gain": [finite(before[run]), finite(gain)],
            }
        keep = [place for place in range(len(alive)) if place not in places]
        rows = rows.detach()[keep].requires_grad_()
        m, v, alive = m[keep], v[keep], [alive[place] for place in keep]

    for step in range(1, budget + 1):
        batches = [
            adding_batch(BATCH, length, generator=stream, dtype=torch.float64)
            for stream in streams
        ]
        at = [runs[run][1] for run in alive]
        X = torch.stack([x for x, _ in batches], 1).to(dtype)[:, at]
        y = torch.stack([target for _, target in batches]).to(dtype)[at]
        loss = errors(kind, unpack(kind, rows), X, y)
        (grad,) = torch.autograd.grad(loss.sum(), rows)
        norm = grad.norm(dim=1)
        clipped[alive] += norm > 1
        longest[alive] = torch.fmax(longest[alive], norm.detach())
        if clip is not None:
            grad = grad * (clip / norm).clamp(max=1)[:, None]
        rate = torch.tensor([runs[run][0] for run in alive], dtype=dtype)[:, None]
        m.lerp_(grad, 0.1)
        v.mul_(0.999).addcmul_(grad, grad, value=0.001)
        with torch.no_grad():
            root = (v / (1 - 0.999**step)).sqrt() + 1e-8
            rows -= rate * (m / (1 - 0.9**step)) / root
        if step % EVERY == 0 or step == budget:
            with torch.no_grad():
                where = test_X[:, None].expand(-1, len(alive), -1, -1)
                error = errors(kind, unpack(kind, rows), where, test_y)
            for place, run in enumerate(alive):
                if error[place] < SOLVED:
                    solved[runs[run]] = step
            done = stop and finished(solved, rates, range(seeds))
            places = [
                place
                for place, run in enumerate(alive)
                if done
                or step == budget
                or runs[run] in solved
                or not error[place].isfinite()
            ]
            if places:
                leave(places, step, error)
            if not alive:
                break
    return [results[run] for run in range(len(runs))]


# --- What is run ----------------------------------------------------------------------

# Half a decade apart; in trials the best was not at an end.
RATES = {
    "RNN": (0.0003, 0.001, 0.003, 0.01),
    "ReLU": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "GRU": (0.01, 0.03, 0.1, 0.3),
    "LSTM": (0.01, 0.03, 0.1, 0.3),
}
GATED = [
    (kind, (how, bias))
    for kind in ("GRU", "LSTM")
    for how in ("uniform", "orthogonal")
    for bias in (0.0, 1.0, 3.0)
]
TANH, IDENTITY = ("RNN", ("orthogonal",)), ("ReLU", ("identity",))
MAIN = [("RNN", ("uniform",)), TANH, ("ReLU", ("orthogonal",)), IDENTITY, *GATED]
CHOSEN = [IDENTITY, ("GRU", ("orthogonal", 1.0)), ("LSTM", ("orthogonal", 1.0))]
OTHERS = [
    ("RNN", ("orthogonal 0.1",)),
    ("ReLU", ("uniform",)),
    ("GRU", ("0.01", 0.0)),
    ("LSTM", ("0.01", 0.0)),
]


def job(kind: str, begin: tuple, length: int, **options) -> dict:
    """One job, under a name such as "LSTM uniform 3, T = 30, not clipped"."""
    how, bias = (*begin, 0.0)[:2]
    options = {"length": length, "how": how, "bias": bias} | options
    options = {"kind": kind, "rates": RATES[kind]} | options
    words = [kind, how] + ([f"{bias:g}"] if kind in ("GRU", "LSTM") else [])
    name = f"{' '.join(words)}, T = {length}"
    if options.get("clip", 1.0) is None:
        name += ", not clipped"
    return {name: (stack, options)}


def jobs(starts: list, length: int, **options) -> dict:
    found = {}
    for kind, begin in starts:
        found |= job(kind, begin, length, **options)
    return found


def long_jobs(starts: list, length: int, **options) -> dict:
    """Jobs of three seeds, and, for all but the ReLU layer, three rates."""
    found = {}
    for kind, begin in starts:
        rates = RATES[kind][: 5 if kind == "ReLU" else 3]
        found |= job(kind, begin, length, rates=rates, seeds=3, **options)
    return found


JOBS = {
    "lab_b": {
        **jobs(MAIN, 30),
        **long_jobs(MAIN[2:], 100),
        **long_jobs([TANH], 100, budget=20_000),
        **jobs([TANH, *CHOSEN], 30, clip=None),
        **long_jobs(CHOSEN, 100, clip=None),
        **jobs(MAIN, 10),
        **jobs(OTHERS, 30),
        **long_jobs(CHOSEN, 200),
    }
}
