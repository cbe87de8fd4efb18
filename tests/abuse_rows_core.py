"""The table of abuses: rows of text, batching, layers, derivation, clipping, data."""

import torch

from companion import batching, clipping, datasets, rnn, text
from companion.rnn import RNN
from companion.text import Vocab
from tests.abuse_kinds import (
    abuse_device,
    abuse_dtype,
    abuse_generator,
    abuse_ids,
    abuse_member,
    abuse_needed_generator,
    abuse_number,
    abuse_reserved,
    abuse_shape,
    abuse_size,
    abuse_string,
    abuse_tokens,
)
from tests.abuse_kinds_models import (
    abuse_inputs,
    abuse_parameters,
    abuse_state,
)
from tests.abuse_values import (
    F64,
    INF,
    NAN,
    REFUSED,
    VOCAB,
    Call,
    V,
    drawing,
    inputs,
    layer,
    normal,
    put,
    seeded,
    state,
    stream,
    with_gradients,
)

#: Modules that are still to come, and why.
NOT_YET = {
    "lstm": "its layers check by themselves; to be moved to the common checks",
    "bptt": "as lstm",
}
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
    "checks": "the checks themselves",
    "download": "called by datasets alone, with constants",
    "rnn.check_layer_input": "a check",
    "rnn.check_like": "a check",
    "rnn.check_state": "a check",
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


def recurrence(arguments):
    """Compute as the layer should, with NaN and infinity where they come in."""
    made, h = layer(), arguments["state"][0]
    outputs = []
    for X in arguments["inputs"]:
        h = torch.tanh(X @ made.W_xh + h @ made.W_hh + made.b_h)
        outputs.append(h)
    return torch.stack(outputs), (h,)


WEIGHTS = {
    "init_std": abuse_number,
    "generator": abuse_generator,
    "device": abuse_device,
    "dtype": abuse_dtype,
}
DRAWN = {"init_std": 0.5, "device": "cpu", "dtype": F64}
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
        lambda: {"tokens": "abbccc", "min_count": 2, "reserved": ["<pad>"]},
        {"tokens": abuse_tokens, "min_count": abuse_size, "reserved": abuse_reserved},
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
    "batching.adding_batch": Call(
        drawing(batching.adding_batch),
        lambda: {"batch_size": 2, "num_steps": 4, "device": "cpu", "dtype": F64},
        {
            "batch_size": abuse_size,
            "num_steps": abuse_size,
            "generator": abuse_generator,
            "device": abuse_device,
            "dtype": abuse_dtype,
        },
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
    "rnn.initial_weights": Call(
        lambda shape, generator=..., **others: rnn.initial_weights(
            *shape, generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {"shape": (2, 3), **DRAWN},
        {"shape": abuse_shape, **WEIGHTS},
        {("init_std", "huge"): lambda a: 1e300 * normal(2, 3)},
    ),
    "rnn.RNN": Call(
        drawing(RNN),
        lambda: {"input_size": 2, "hidden_size": 3, **DRAWN},
        {"input_size": abuse_size, "hidden_size": abuse_size, **WEIGHTS},
        {("init_std", "huge"): lambda a: 1e300 * normal(2, 3)},
        finish=lambda made: made.W_xh.detach().clone(),
    ),
    "rnn.RNN.begin_state": Call(
        lambda **a: layer().begin_state(**a),
        lambda: {"batch_size": 2, "device": "cpu"},
        {"batch_size": abuse_size, "device": abuse_device},
    ),
    "rnn.RNN.forward": Call(
        lambda **a: layer()(**a),
        lambda: {"inputs": inputs(), "state": state()},
        {
            "inputs": lambda X: (
                *abuse_inputs(X),
                ("NaN", put(X, NAN), REFUSED),
                ("infinite", put(X, INF), REFUSED),
                ("huge", X * 1e300, REFUSED),
            ),
            "state": lambda s: (
                *abuse_state(s),
                ("NaN", (put(s[0], NAN),), REFUSED),
                ("infinite", (put(s[0], INF),), REFUSED),
            ),
        },
        {
            (argument, name): recurrence
            for argument in ("inputs", "state")
            for name in ("NaN", "infinite", "huge")
        },
        half=True,
    ),
    "datasets.record": Call(
        datasets.record, lambda: {"name": "layers"}, {"name": abuse_string}
    ),
}
