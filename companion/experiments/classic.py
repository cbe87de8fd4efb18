"""Chapter 4's classic run: 10,000 fused characters, H = 512, 500 epochs.

Run by ``python -m companion.experiments classic``.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import batching
from companion.experiments.scoring import corpus
from companion.generation import generate
from companion.laboratory.fast import FastRNN
from companion.language_model import LanguageModel
from companion.measuring import evaluate, perplexity
from companion.text import Vocab
from companion.training import fit

SEEDS = range(3)  # of each scheme; a run takes three minutes


def verbatim(sample: str, text: str, length: int = 20) -> float:
    """Share of the sample's windows of some length that stand in the text."""
    windows = [sample[i : i + length] for i in range(len(sample) - length + 1)]
    return sum(window in text for window in windows) / len(windows)


def prefixes_of(held_out: Tensor, vocab: Vocab) -> list[str]:
    """The two classic prefixes, and eight of 20 characters that no run has read."""
    places = range(0, 8000, 1000)
    return [
        "time traveller",
        "traveller",
        *(vocab.decode(held_out[i : i + 20]) for i in places),
    ]


def losses_by_position(model: nn.Module, ids: Tensor, length: int = 35) -> list[float]:
    """Mean loss at each step of windows that begin with a state of zeros, in nats."""
    rows = (len(ids) - 1) // length
    X, Y = (ids[i : i + rows * length].reshape(rows, length) for i in (0, 1))
    with torch.no_grad():
        logits, _ = model(X)
    losses = F.cross_entropy(logits, Y.T.reshape(-1), reduction="none")
    return losses.reshape(length, rows).mean(1).tolist()


def classic(scheme: str, seed: int, epochs: int = 500, length: int = 300) -> dict:
    """Train as the classic run does, and measure both texts by the same function.

    "running" is the mean over an epoch while it goes on, "train" and "held_out" are
    :func:`evaluate` with the weights after it. "last" and "best" are the shares of
    ``length`` characters, greedy or drawn, that stand in the training text, after the
    last epoch and after the one, among those of the curve, with the lowest score on
    the held-out text.
    """
    ids, vocab = corpus(join="")
    train, held_out = ids[:10_000], ids[10_000:20_000]
    text = vocab.decode(train)
    generator = torch.Generator().manual_seed(seed)
    layer = FastRNN(len(vocab), 512, generator=generator)
    model = LanguageModel(layer, len(vocab), generator=generator)
    carry = scheme == "sequential"
    batches = batching.sequential_batches if carry else batching.random_batches
    curve, best = [], {"held_out": math.inf}

    def copied() -> dict:
        shares = {"greedy": [], "drawn": []}
        draws = torch.Generator().manual_seed(seed)
        for prefix in prefixes_of(held_out, vocab):
            for way, temperature in (("greedy", 0.0), ("drawn", 1.0)):
                written = generate(
                    prefix,
                    length,
                    model,
                    vocab,
                    temperature=temperature,
                    generator=draws,
                )
                shares[way].append(verbatim(written[len(prefix) :], text))
        return shares

    def note(epoch):
        every = 10 if epoch.number <= 150 else 50
        if epoch.number % every and epoch.number > 3:
            return
        point = {
            "epoch": epoch.number,
            "running": perplexity(epoch.train),
            "train": perplexity(evaluate(model, train)),
            "held_out": perplexity(evaluate(model, held_out)),
            "norm": epoch.norm,
            "sample": generate("time traveller", 50, model, vocab),
        }
        curve.append(point)
        if point["held_out"] < best["held_out"]:
            best.update(point | copied())

    fit(
        model,
        lambda: batches(train, 32, 35, generator=generator),
        torch.optim.SGD(model.parameters(), lr=1),
        epochs,
        carry_state=carry,
        after_epoch=note,
    )
    return {
        "curve": curve,
        "best": {key: best[key] for key in ("epoch", "greedy", "drawn")},
        "last": {"epoch": epochs} | copied(),
        "written": generate("time traveller", length, model, vocab),
        "positions": losses_by_position(model, train),
    }


JOBS = {
    "classic": {
        f"{scheme} {seed}": (classic, {"scheme": scheme, "seed": seed})
        for seed in SEEDS
        for scheme in ("sequential", "random")
    }
}
