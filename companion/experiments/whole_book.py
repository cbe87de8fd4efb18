"""Chapter 4 on the whole book: layers and n-grams, mixtures, and truncation.

Run by ``python -m companion.experiments``, with ``whole_book`` or ``truncation``.
"""

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn

from companion import batching
from companion.experiments.averaging import cycle_and_average
from companion.experiments.scoring import (
    PARTS,
    TOKENS,
    average,
    log_probabilities,
    mixed,
    parts,
    score,
)
from companion.laboratory.ngram import WittenBell
from companion.language_model import LanguageModel
from companion.measuring import evaluate, perplexity
from companion.training import fit

SEEDS = range(5)


def recurrent(
    kind: str,
    hidden: int,
    seed: int,
    *,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    steps: int = 50,
    epochs: int = 24,
    rate: float = 4e-3,
    scores: bool = False,
) -> dict:
    """Train on the first part, choose the epoch on the second, score the third once.

    A minibatch has 1,600 tokens whatever its length, so that runs of different lengths
    take the same number of steps. Adam with one learning-rate cycle; next to the
    weights their exponential moving average (EMA, decay 0.997 a step) is measured.
    """
    train, validation, test, vocab = parts()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    V = len(vocab)
    model = LanguageModel(
        getattr(nn, kind)(V, hidden),
        V,
        init_std=1 / math.sqrt(hidden),
        dropout=dropout,
        input_dropout=input_dropout,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    # The offset of an epoch decides whether a row ends one window earlier.
    rows = TOKENS // steps
    total = epochs * (len(train) // TOKENS + 1)
    ema = cycle_and_average(model, optimiser, rate, total, 0.997)
    curve, best = [], {"weights": (math.inf, None), "ema": (math.inf, None)}

    def note(epoch):
        point = {"epoch": epoch.number, "train": perplexity(epoch.train)}
        for name, candidate in (("weights", model), ("ema", ema)):
            point[name] = perplexity(evaluate(candidate, validation))
            if point[name] < best[name][0]:
                best[name] = point[name], copy.deepcopy(candidate)
        curve.append(point)

    fit(
        model,
        lambda: batching.sequential_batches(train, rows, steps, generator=generator),
        optimiser,
        epochs,
        carry_state=True,
        after_epoch=note,
    )
    result = {"curve": curve}
    for name, (lowest, chosen) in best.items():
        result[name] = {
            "validation": lowest,
            "test": perplexity(evaluate(chosen, test)),
        }
    if scores:
        chosen = best["ema"][1]
        result["scores"] = {
            part: {
                "static": log_probabilities(chosen, text).tolist(),
                "dynamic": log_probabilities(chosen, text, 0.05).tolist(),
            }
            for part, text in zip(PARTS, (validation, test), strict=True)
        }
    return result


def ngrams(orders: Iterable[int] = range(1, 8)) -> dict:
    train, validation, test, vocab = parts()
    table = {}
    for order in orders:
        model = WittenBell(train, order, len(vocab))
        table[str(order)] = {
            part: score(model.probabilities(text).log())
            for part, text in zip(PARTS, (validation, test), strict=True)
        }
    return table


def combinations(results: dict[str, dict]) -> dict:
    """Mix the large models with one another and with the 5-gram; drop their scores.

    The weight of a mixture is chosen on the validation text.
    """
    train, *texts, vocab = parts()
    counts = WittenBell(train, 5, len(vocab))
    ngram = {
        part: counts.probabilities(text).log()
        for part, text in zip(PARTS, texts, strict=True)
    }
    runs = [results[key].pop("scores") for key in sorted(results)]
    table = {}
    for way in ("static", "dynamic"):
        logs = [
            {part: torch.tensor(run[part][way], dtype=torch.float64) for part in PARTS}
            for run in runs
        ]
        together = {part: average([log[part] for log in logs]) for part in PARTS}
        each, all_of_them = [mixed(log, ngram) for log in logs], mixed(together, ngram)
        table[way] = {
            part: {
                "alone": [score(log[part]) for log in logs],
                "with 5-gram": [found[part] for found in each],
                "together": score(together[part]),
                "together with 5-gram": all_of_them[part],
            }
            for part in PARTS
        }
        table[way]["weights"] = [found["weight"] for found in each]
        table[way]["weight together"] = all_of_them["weight"]
    return table


def summary(results: dict[str, dict]) -> dict:
    """Return what ``whole_book`` keeps beside the single results."""
    large = {key: result for key, result in results.items() if "scores" in result}
    return {"combinations": combinations(large)}


# --- What is run ----------------------------------------------------------------------


def jobs_of(kind: str, hidden: int, name: str = "", **options) -> dict:
    label = f"{kind} {hidden} {name}".strip()
    return {
        f"{label} {seed}": (
            recurrent,
            {"kind": kind, "hidden": hidden, "seed": seed, **options},
        )
        for seed in SEEDS
    }


JOBS = {
    "whole_book": {
        "n-grams": (ngrams, {}),
        **jobs_of("LSTM", 512, dropout=0.5, input_dropout=0.1, epochs=30, scores=True),
        **jobs_of("LSTM", 512, "plain", epochs=8),
        **jobs_of("LSTM", 256, "plain", epochs=16),
        **jobs_of("GRU", 256, "plain", epochs=16),
        **jobs_of("RNN", 256, "plain", epochs=16, rate=2e-3),
    },
    "truncation": {
        key: job
        for steps in (2, 5, 20, 80)
        for key, job in jobs_of(
            "LSTM", 128, f"window {steps}", steps=steps, dropout=0.2, epochs=20
        ).items()
    },
}
SUMMARIES = {"whole_book": summary}
