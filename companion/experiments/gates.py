"""The long experiments of laboratory B: what gates buy on the adding task.

``python -m companion.experiments lab_b`` records them. A job trains one layer with one
way to begin, at several learning rates and from several seeds, all of them at once: a
stack of M networks whose parameters have M as their first dimension, so that a step of
all of them is one batched product.
"""

import math

import torch
from torch import Tensor

from companion.experiments.stacked import errors, log_gains, start, unpack
from companion.laboratory.adding import adding_batch

DATA = None  # it draws its sequences
BATCH, TEST, EVERY = 64, 256, 10
SOLVED = 1 / 60  # a tenth of the error of always answering 1


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
