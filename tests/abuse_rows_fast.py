"""The table of abuses: rows of the fast layers, laboratory C."""

import torch

from companion.laboratory import fast
from tests.abuse_kinds import abuse_device, abuse_ids, abuse_size
from tests.abuse_kinds_models import abuse_inputs, abuse_state
from tests.abuse_values import (
    F64,
    INF,
    NAN,
    REFUSED,
    Call,
    H,
    V,
    as_asked,
    inputs,
    minibatch,
    put,
    seeded,
    state,
)

NOT_YET = {}
NO_ARGUMENT = set()
INSIDE = {
    "laboratory.fast.FastLSTM": "is made as an LSTM is",
    "laboratory.fast.FastRNN": "is made as an RNN is",
    "laboratory.recurrences": "called by the fast layers with what they prepared",
}
NOT_FINITE = {"NaN": NAN, "infinite": INF, "huge": 1e300}


def abuse_ids_or_features(ids):
    """A fast layer reads ids (T, N), or features (T, N, D), in tensors."""
    for name, given, expected in abuse_ids(ids):
        if name not in ("shape", "scalar", "empty"):
            tensor = isinstance(given, torch.Tensor)
            yield f"ids: {name}", given, expected if tensor else REFUSED
    yield from abuse_inputs(inputs())
    for name, value in NOT_FINITE.items():
        yield name, put(inputs(), value), REFUSED


def fast_layer(kind):
    return as_asked(kind(V, H, init_std=0.7, generator=seeded(), dtype=F64))


def features(kind):
    """Return what the layer without ids computes of features, NaN and all."""
    slow = {fast.FastRNN: fast.RNN, fast.FastLSTM: fast.LSTM}[kind]

    def compute(arguments):
        made = slow(V, H, dtype=F64)
        made.load_state_dict(fast_layer(kind).state_dict())
        return rounded(made(**arguments))

    return {("inputs", name): compute for name in NOT_FINITE}


def rounded(found):
    outputs, after = found
    return [part.detach().nan_to_num(-7.0).float() for part in (outputs, *after)]


def abuse_states(parts):
    """As of a layer with one part, or with two of which one is wrong."""

    def abuses(given):
        for name, wrong, expected in abuse_state(given[:1]):
            if parts == 1 or not isinstance(wrong, tuple):
                yield name, wrong, expected
            elif name not in ("two parts", "no part"):
                yield name, (given[0], *wrong), expected
        yield "three parts", (given[0],) * 3, REFUSED

    return abuses


def rows(kind, first):
    name = f"laboratory.fast.{kind.__name__}"
    return {
        f"{name}.begin_state": Call(
            lambda **a: fast_layer(kind).begin_state(**a),
            lambda: {"batch_size": 2, "device": "cpu"},
            {"batch_size": abuse_size, "device": abuse_device},
        ),
        f"{name}.forward": Call(
            lambda **a: fast_layer(kind)(**a),
            lambda: {"inputs": minibatch().T.contiguous()[:3], "state": first()},
            {"inputs": abuse_ids_or_features, "state": abuse_states(len(first()))},
            features(kind),
            finish=rounded,
            half=True,
        ),
    }


CALLS = {
    **rows(fast.FastRNN, state),
    **rows(fast.FastLSTM, lambda: state() * 2),
}
