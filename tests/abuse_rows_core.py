"""The table of abuses: rows of text, batching, layers, derivation, clipping, data."""

import torch

from companion import batching, clipping, records, text
from companion.text import Vocab
from tests.abuse_kinds import (
    abuse_dtype,
    abuse_generator,
    abuse_ids,
    abuse_member,
    abuse_needed_generator,
    abuse_number,
    abuse_size,
    abuse_string,
    abuse_tokens,
)
from tests.abuse_kinds_models import (
    abuse_parameters,
)
from tests.abuse_values import (
    F64,
    VOCAB,
    Call,
    V,
    seeded,
    stream,
    with_gradients,
)

#: Modules that are still to come, and why.
NOT_YET = {}
#: Public names that take nothing, or nothing that could be wrong.
NO_ARGUMENT = {
    "datasets.time_machine",
    "datasets.time_machine_path",
    "datasets.names",
    "datasets.origin",
    "reference.load_d2l",
    "text.Vocab.__len__",
}
#: What is no entrance for a user.
INSIDE = {
    "support.arguments": "checks",
    "support.checks": "checks",
    "support.download": "called by files alone, with constants",
    "support.extras": "imports what is named by a constant",
    "support.files": "called by datasets alone, with constants",
}


def windows(arguments):
    """Cut as `sequential_batches` should, without an offset."""
    ids, N, T = (arguments[name] for name in ("ids", "batch_size", "num_steps"))
    length = (len(ids) - 1) // N
    rows = [range(i * length, (i + 1) * length) for i in range(N)]
    found = []
    for start in range(0, length - T + 1, T):
        places = torch.tensor([list(row[start : start + T]) for row in rows])
        found.append((ids[places], ids[places + 1]))
    return found


def dealt(arguments):
    """Deal as `random_batches` should: with the windows of a stream of places."""
    places = torch.arange(len(arguments["ids"]))
    of_places = batching.random_batches(
        places, arguments["batch_size"], arguments["num_steps"], generator=seeded()
    )
    ids = arguments["ids"]
    return [(ids[X], ids[Y]) for X, Y in of_places]


def any_ids(expected):
    """Without a vocabulary every integer may be an id."""
    names = ("negative", "ignored by PyTorch", "huge", "other vocabulary", "device")
    return {("ids", name): expected for name in names}


NO_TOKEN = {("tokens", "empty"): lambda a: torch.zeros(0, dtype=torch.int64)}


CALLS = {
    "text.clean_lines": Call(
        text.clean_lines,
        lambda: {"text": "A b\nc!"},
        {"text": abuse_string},
        {("text", "empty"): lambda a: [""]},
    ),
    "text.clean": Call(
        text.clean,
        lambda: {"text": "A b\nc!", "join": " "},
        {"text": abuse_string, "join": abuse_string},
        {("text", "empty"): lambda a: "", ("join", "empty"): lambda a: "a bc"},
    ),
    "text.Vocab": Call(
        Vocab,
        lambda: {"tokens": "abbccc", "min_count": 2},
        {"tokens": abuse_tokens, "min_count": abuse_size},
        finish=lambda vocab: (vocab.tokens, dict(vocab.counts)),
    ),
    "text.Vocab.__contains__": Call(
        VOCAB.__contains__, lambda: {"token": "a"}, {"token": abuse_member}
    ),
    "text.Vocab.encode": Call(
        VOCAB.encode, lambda: {"tokens": "dab"}, {"tokens": abuse_tokens}, NO_TOKEN
    ),
    "text.Vocab.decode": Call(
        VOCAB.decode,
        lambda: {"ids": stream(7)},
        {"ids": abuse_ids},
        {("ids", "empty"): lambda a: "", ("ids", "empty list"): lambda a: ""},
    ),
    "text.one_hot": Call(
        text.one_hot,
        lambda: {"ids": stream(7), "num_classes": V, "dtype": F64},
        {"ids": abuse_ids, "num_classes": abuse_size, "dtype": abuse_dtype},
        {
            ("ids", "empty"): lambda a: torch.zeros(0, V),
            ("ids", "empty list"): lambda a: torch.zeros(0, V),
            ("ids", "shape"): lambda a: torch.eye(V)[a["ids"]],
            ("ids", "scalar"): lambda a: torch.eye(V)[a["ids"]],
        },
    ),
    "batching.sequential_batches": Call(
        batching.sequential_batches,
        lambda: {"ids": stream(), "batch_size": 2, "num_steps": 3},
        {
            "ids": abuse_ids,
            "batch_size": abuse_size,
            "num_steps": abuse_size,
            "generator": abuse_generator,
        },
        any_ids(windows),
        finish=list,
    ),
    "batching.random_batches": Call(
        batching.random_batches,
        lambda: {
            "ids": stream(),
            "batch_size": 2,
            "num_steps": 3,
            "generator": seeded(),
        },
        {
            "ids": abuse_ids,
            "batch_size": abuse_size,
            "num_steps": abuse_size,
            "generator": abuse_needed_generator,
        },
        any_ids(dealt),
        finish=list,
    ),
    "clipping.clip_grad_norm_": Call(
        clipping.clip_grad_norm_,
        lambda: {"parameters": with_gradients(), "max_norm": 1.0},
        {"parameters": abuse_parameters, "max_norm": abuse_number},
        {
            ("max_norm", "infinite"): lambda a: 24**0.5,
            ("max_norm", "huge"): lambda a: 24**0.5,
            ("parameters", "empty"): lambda a: 0.0,
        },
        writes=frozenset({"parameters"}),
        half=True,
    ),
    "records.load": Call(
        records.load, lambda: {"name": "layers"}, {"name": abuse_string}
    ),
}
