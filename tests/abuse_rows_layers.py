"""The table of abuses: rows of the layers and of the derivation."""

import torch
from torch import nn

from companion import bptt, rnn
from companion.lstm import GRU, LSTM
from companion.rnn import RNN
from tests.abuse_kinds import (
    abuse_device,
    abuse_dtype,
    abuse_generator,
    abuse_ids,
    abuse_number,
    abuse_shape,
    abuse_size,
)
from tests.abuse_kinds_models import abuse_floats, abuse_inputs, abuse_state
from tests.abuse_values import (
    F64,
    INF,
    NAN,
    REFUSED,
    SAME,
    Call,
    H,
    V,
    drawing,
    inputs,
    layer,
    minibatch,
    normal,
    put,
    state,
)

NOT_YET = {}
NO_ARGUMENT = set()
INSIDE = {
    "rnn.RecurrentLayer": "what RNN, LSTM and GRU share, and makes no step itself",
    "rnn.RecurrentLayer.begin_state": "that of RNN, LSTM and GRU",
    "rnn.RecurrentLayer.forward": "that of RNN, LSTM and GRU",
}

WEIGHTS = {
    "init_std": abuse_number,
    "generator": abuse_generator,
    "device": abuse_device,
    "dtype": abuse_dtype,
}
DRAWN = {"init_std": 0.5, "device": "cpu", "dtype": F64}


def rounded(values):
    """Leave what two ways of computing the same number agree on: float32."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, tuple | list):
        return [rounded(value) for value in values]
    return values.float()


def by_torch(kind):
    """Compute as the layer should, with NaN and infinity where they come in."""

    def right(arguments):
        W_x, W_h, b, *b_hc = (p.detach() for p in layer(kind).parameters())
        theirs = getattr(nn, kind.__name__)(V, H, dtype=F64)
        with torch.no_grad():
            theirs.weight_ih_l0.copy_(W_x.T)
            theirs.weight_hh_l0.copy_(W_h.T)
            theirs.bias_ih_l0.copy_(b)
            theirs.bias_hh_l0.zero_()
            if b_hc:
                theirs.bias_hh_l0[2 * H :] = b_hc[0]
        first = [part[None] for part in arguments["state"]]
        pair = len(first) == 2
        outputs, last = theirs(arguments["inputs"], tuple(first) if pair else first[0])
        return rounded([outputs, [part[0] for part in (last if pair else [last])]])

    return right


def rows_of(kind, name):
    """Return the rows of one layer."""
    extra = {"forget_bias": abuse_number} if kind is LSTM else {}
    given = {"forget_bias": 0.5} if kind is LSTM else {}
    gates = {RNN: 1, LSTM: 4, GRU: 3}[kind]
    huge = {("init_std", "huge"): lambda a: 1e300 * normal(2, 3 * gates)}
    # Of the weights alone, which a bias leaves as they are.
    bias = {("forget_bias", name): SAME for name in ("negative", "huge")}
    return {
        name: Call(
            drawing(kind),
            lambda: {"input_size": 2, "hidden_size": 3, **DRAWN, **given},
            {"input_size": abuse_size, "hidden_size": abuse_size, **WEIGHTS, **extra},
            huge | (bias if extra else {}),
            finish=lambda made: next(made.parameters()).detach().clone(),
        ),
        f"{name}.begin_state": Call(
            lambda **a: layer(kind).begin_state(**a),
            lambda: {"batch_size": 2, "device": "cpu"},
            {"batch_size": abuse_size, "device": abuse_device},
        ),
        f"{name}.forward": Call(
            lambda **a: layer(kind)(**a),
            lambda: {"inputs": inputs(), "state": state(2 if kind is LSTM else 1)},
            {
                "inputs": lambda X: (
                    *abuse_inputs(X),
                    ("NaN", put(X, NAN), REFUSED),
                    ("infinite", put(X, INF), REFUSED),
                    ("huge", X * 1e300, REFUSED),
                ),
                "state": lambda s: (
                    *abuse_state(s),
                    ("NaN", (*s[:-1], put(s[-1], NAN)), REFUSED),
                    ("infinite", (*s[:-1], put(s[-1], INF)), REFUSED),
                ),
            },
            {
                (argument, name): by_torch(kind)
                for argument in ("inputs", "state")
                for name in ("NaN", "infinite", "huge")
            },
            finish=rounded,
            half=True,
        ),
    }


def problem():
    """Return the arguments of `rnn_gradients`."""
    W_xh, W_hh, b_h = (p.detach() for p in layer().parameters())
    return {
        "X": inputs(),
        "targets": minibatch()[:, :3].T.contiguous(),
        "H_0": state()[0],
        "W_xh": W_xh,
        "W_hh": W_hh,
        "b_h": b_h,
        "W_hq": normal(H, V),
        "b_q": normal(V),
    }


def by_autograd(arguments):
    """Differentiate the same loss with autograd."""
    given = dict(arguments)
    targets = torch.as_tensor(given.pop("targets")).long()
    given = {name: t.clone().requires_grad_() for name, t in given.items()}
    h, states, loss = given["H_0"], [], 0
    for X_t, Y_t in zip(given["X"], targets, strict=True):
        h = torch.tanh(X_t @ given["W_xh"] + h @ given["W_hh"] + given["b_h"])
        h.retain_grad()
        states.append(h)
        logits = h @ given["W_hq"] + given["b_q"]
        loss = loss + nn.functional.cross_entropy(logits, Y_t, reduction="sum")
    loss.backward()
    delta = torch.stack([h.grad for h in states])
    names = ("H_0", "W_xh", "W_hh", "b_h", "W_hq", "b_q")
    return rounded([loss.detach(), delta, *(given[name].grad for name in names)])


TENSORS = [name for name in problem() if name != "targets"]

CALLS = {
    "rnn.initial_weights": Call(
        lambda shape, **others: drawing(
            lambda **settings: rnn.initial_weights(*shape, **settings)
        )(**others),
        lambda: {"shape": (2, 3), **DRAWN},
        {"shape": abuse_shape, **WEIGHTS},
        {("init_std", "huge"): lambda a: 1e300 * normal(2, 3)},
    ),
    **rows_of(RNN, "rnn.RNN"),
    **rows_of(LSTM, "lstm.LSTM"),
    **rows_of(GRU, "lstm.GRU"),
    "bptt.rnn_gradients": Call(
        bptt.rnn_gradients,
        problem,
        {"targets": abuse_ids, **dict.fromkeys(TENSORS, abuse_floats)},
        {
            (argument, name): by_autograd
            for argument in TENSORS
            for name in ("NaN", "infinite", "huge")
        },
        finish=rounded,
        half=REFUSED,
    ),
}
