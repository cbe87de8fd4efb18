"""The table of abuses: rows of laboratory A."""

import torch
from torch import nn

from companion.laboratory import kneser_ney, ngram
from companion.laboratory.contexts import Contexts
from companion.laboratory.direct import DirectLanguageModel
from tests.abuse_kinds import (
    abuse_device,
    abuse_flag,
    abuse_generator,
    abuse_ids,
    abuse_number,
    abuse_size,
)
from tests.abuse_kinds_models import abuse_layer, abuse_state
from tests.abuse_values import (
    F64,
    REFUSED,
    SAME,
    Call,
    V,
    as_asked,
    drawing,
    in_precision,
    layer,
    minibatch,
    seeded,
    state,
    stream,
)

NOT_YET = {}
NO_ARGUMENT = {
    "laboratory.kneser_ney.KneserNey.size",
    "laboratory.ngram.WittenBell.size",
}
INSIDE = {
    "laboratory.contexts.Contexts.check_before": "a check",
    "laboratory.ngram.NGramModel": "what both n-gram models share",
    "laboratory.ngram.NGramModel.distribution": "that of WittenBell and KneserNey",
    "laboratory.ngram.NGramModel.probabilities": "that of WittenBell and KneserNey",
    "laboratory.ngram.NGramModel.size": "that of WittenBell and KneserNey",
}


COUNTER = {"ids": abuse_ids, "order": abuse_size, "vocab_size": abuse_size}
COUNTED = {"ids": stream(), "order": 3, "vocab_size": V}
UNIFORM = [torch.full((V,), 1 / V, dtype=F64)] * 3
NOTHING = torch.zeros(0, dtype=torch.int64)


def after_nothing(kind):
    return lambda _: kind(**COUNTED).distribution(NOTHING)


def asked(where, kind):
    """Return the rows of what both n-gram models share."""
    return {
        f"{where}.distribution": Call(
            lambda context: kind(**COUNTED).distribution(context),
            lambda: {"context": stream(2)},
            {"context": abuse_ids},
            {("context", n): after_nothing(kind) for n in ("empty", "empty list")},
        ),
        f"{where}.probabilities": Call(
            lambda **a: kind(**COUNTED).probabilities(**a),
            lambda: {"ids": stream(), "learn": True},
            {"ids": abuse_ids, "learn": abuse_flag},
        ),
    }


def distributions(counter):
    return [counter.distribution(torch.tensor(c)) for c in ([0], [1], [1, 2])]


def contexts():
    return Contexts(stream(), 2, V, spare=4)


def looked_up(made):
    return made.counts, made.rows(stream(5)[None], made.begin(1))


def direct():
    """Make a model with direct connections, none of them at zero."""
    with in_precision(F64):
        made = DirectLanguageModel(layer(), contexts(), 2, generator=seeded(2))
    for number, p in enumerate((made.tables, made.W_hg, made.W_sg, made.b_g)):
        nn.init.normal_(p, generator=seeded(number))
    return as_asked(made)


def before():
    return torch.tensor([[1], [3]])


def abuse_before(given):
    """Minus one stands for nothing, and is no mistake here."""
    return (row for row in abuse_ids(given) if row[0] != "negative")


def abuse_both_states(given):
    ids, inner = given
    for name, wrong, expected in abuse_before(ids):
        if isinstance(wrong, torch.Tensor):
            yield f"ids: {name}", (wrong, inner), expected
    for name, wrong, expected in abuse_state(inner):
        yield f"layer: {name}", (ids, wrong), expected
    for wrong in (ids, [ids, inner], (ids,), (ids, inner, inner), "state", 5, {}):
        yield repr(wrong)[:9], wrong, REFUSED


def abuse_contexts(_):
    for wrong in (None, Contexts, "contexts", 5, {}, [contexts()]):
        yield repr(wrong)[:9], wrong, REFUSED


def as_numbers(found):
    *numbers, (ids, inner) = found
    return *numbers, ids.double(), inner


def without_folds(_):
    return DirectLanguageModel(layer(), contexts(), 0).tables.detach().clone()


CALLS = {
    "laboratory.ngram.WittenBell": Call(
        ngram.WittenBell,
        lambda: {**COUNTED, "discount": 0.5, "scale": 1.0},
        {**COUNTER, "discount": abuse_number, "scale": abuse_number},
        {("scale", "huge"): lambda a: UNIFORM},
        finish=distributions,
    ),
    "laboratory.kneser_ney.KneserNey": Call(
        kneser_ney.KneserNey, lambda: dict(COUNTED), COUNTER, finish=distributions
    ),
    **asked("laboratory.ngram.WittenBell", ngram.WittenBell),
    **asked("laboratory.kneser_ney.KneserNey", kneser_ney.KneserNey),
    "laboratory.contexts.Contexts": Call(
        Contexts,
        lambda: {"ids": stream(), "longest": 2, "vocab_size": V, "spare": 4},
        {"ids": abuse_ids}
        | dict.fromkeys(("longest", "vocab_size", "spare"), abuse_size),
        finish=looked_up,
    ),
    "laboratory.contexts.Contexts.begin": Call(
        lambda **a: contexts().begin(**a),
        lambda: {"batch_size": 2},
        {"batch_size": abuse_size},
    ),
    "laboratory.contexts.Contexts.rows": Call(
        lambda **a: contexts().rows(**a),
        lambda: {"ids": minibatch(), "before": before()},
        {"ids": abuse_ids, "before": abuse_before},
    ),
    "laboratory.direct.DirectLanguageModel": Call(
        drawing(DirectLanguageModel),
        lambda: {
            "layer": layer(),
            "contexts": contexts(),
            "folds": 2,
            "init_std": 0.5,
            "dropout": 0.1,
            "input_dropout": 0.1,
        },
        {
            "layer": abuse_layer,
            "contexts": abuse_contexts,
            "folds": abuse_size,
            "vocab_size": lambda _: (),  # that of the contexts
            "init_std": abuse_number,
            "dropout": abuse_number,
            "input_dropout": abuse_number,
            "generator": abuse_generator,
        },
        {
            ("folds", "zero"): without_folds,
            ("init_std", "huge"): SAME,
        },
        finish=lambda made: made.tables.detach().clone(),
    ),
    "laboratory.direct.DirectLanguageModel.begin_state": Call(
        lambda **a: direct().begin_state(**a),
        lambda: {"batch_size": 2, "device": "cpu"},
        {"batch_size": abuse_size, "device": abuse_device},
    ),
    "laboratory.direct.DirectLanguageModel.forward": Call(
        lambda **a: direct()(**a),
        lambda: {"ids": minibatch(), "state": (before(), state())},
        {"ids": abuse_ids, "state": abuse_both_states},
        finish=as_numbers,
        half=True,
    ),
    "laboratory.direct.DirectLanguageModel.losses": Call(
        lambda **a: direct().losses(**a),
        lambda: {"X": minibatch(), "Y": minibatch(), "state": (before(), state())},
        {"X": abuse_ids, "Y": abuse_ids, "state": abuse_both_states},
        finish=as_numbers,
        half=True,
    ),
}
