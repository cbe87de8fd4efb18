"""The table of abuses: rows of the laboratories."""

import torch

from companion.laboratory import adding, kneser_ney, ngram
from tests.abuse_kinds import (
    abuse_device,
    abuse_dtype,
    abuse_flag,
    abuse_generator,
    abuse_ids,
    abuse_number,
    abuse_size,
)
from tests.abuse_values import (
    F64,
    Call,
    V,
    drawing,
    stream,
)

NOT_YET = {
    "laboratory.fast": "its layers check by themselves; to be moved",
    "laboratory.recurrences": "as fast",
    "laboratory.direct": "hands its ids to the checks, but works on what it was given",
    "laboratory.parallel": "needs several processes",
    "laboratory.prefixes": "to be moved to the common checks",
    "laboratory.classic": "the published code, with its own ways",
}
NO_ARGUMENT = {
    "laboratory.ngram.WittenBell.size",
    "laboratory.kneser_ney.KneserNey.size",
}
INSIDE = {}


COUNTER = {"ids": abuse_ids, "order": abuse_size, "vocab_size": abuse_size}
COUNTED = {"ids": stream(), "order": 3, "vocab_size": V}
SCORED = {"ids": abuse_ids, "learn": abuse_flag}
UNIFORM = [torch.full((V,), 1 / V, dtype=F64)] * 3
EMPTY = torch.zeros(0, dtype=torch.int64)


def no_context(counter):
    found = lambda a: counter(**COUNTED).distribution(EMPTY)  # noqa: E731
    return {("context", "empty"): found, ("context", "empty list"): found}


def distributions(counter):
    return [counter.distribution(torch.tensor(c)) for c in ([0], [1], [1, 2])]


CALLS = {
    "laboratory.ngram.WittenBell": Call(
        ngram.WittenBell,
        lambda: {**COUNTED, "discount": 0.5, "scale": 1.0},
        {**COUNTER, "discount": abuse_number, "scale": abuse_number},
        {("scale", "huge"): lambda a: UNIFORM},
        finish=distributions,
    ),
    "laboratory.ngram.WittenBell.distribution": Call(
        lambda context: ngram.WittenBell(**COUNTED).distribution(context),
        lambda: {"context": stream(2)},
        {"context": abuse_ids},
        no_context(ngram.WittenBell),
    ),
    "laboratory.ngram.WittenBell.probabilities": Call(
        lambda **a: ngram.WittenBell(**COUNTED).probabilities(**a),
        lambda: {"ids": stream(), "learn": True},
        SCORED,
    ),
    "laboratory.kneser_ney.KneserNey": Call(
        kneser_ney.KneserNey, lambda: dict(COUNTED), COUNTER, finish=distributions
    ),
    "laboratory.kneser_ney.KneserNey.distribution": Call(
        lambda context: kneser_ney.KneserNey(**COUNTED).distribution(context),
        lambda: {"context": stream(2)},
        {"context": abuse_ids},
        no_context(kneser_ney.KneserNey),
    ),
    "laboratory.kneser_ney.KneserNey.probabilities": Call(
        lambda **a: kneser_ney.KneserNey(**COUNTED).probabilities(**a),
        lambda: {"ids": stream(), "learn": True},
        SCORED,
    ),
    "laboratory.adding.adding_batch": Call(
        drawing(adding.adding_batch),
        lambda: {"batch_size": 2, "num_steps": 4, "device": "cpu", "dtype": F64},
        {
            "batch_size": abuse_size,
            "num_steps": abuse_size,
            "generator": abuse_generator,
            "device": abuse_device,
            "dtype": abuse_dtype,
        },
    ),
}
