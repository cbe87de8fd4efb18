"""What may be handed to a function by mistake, by the kind of the argument: models.

Each `abuse_...` takes a valid value and yields names, values in its place, and what is
expected: the same result, a refusal, or either.
"""

import torch
from torch import nn

from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab
from tests.abuse_values import (
    EITHER,
    INF,
    NAN,
    REFUSED,
    SAME,
    VOCAB,
    H,
    V,
    both_ways,
    model,
    put,
)


def abuse_inputs(X):
    yield "float32", X.float(), REFUSED
    yield "half precision", X.half(), REFUSED
    yield "integers", X.long(), REFUSED
    yield "bool", X.bool(), REFUSED
    yield "complex", X.to(torch.complex128), REFUSED
    yield "list", X.tolist(), EITHER
    yield "NumPy", X.numpy(), EITHER
    yield "tuple", tuple(X), EITHER
    yield "two axes", X[:, 0], REFUSED
    yield "four axes", X[None], REFUSED
    yield "width", X[..., 1:], REFUSED
    yield "no step", X[:0], REFUSED
    yield "no sequence", X[:, :0], REFUSED
    yield "device", X.to("meta"), REFUSED
    yield "string", "abc", REFUSED
    yield "None", None, REFUSED


def abuse_state(given):
    *others, h = given
    for name, part in {
        "one row": h[:1],  # which would be spread over the minibatch
        "width": h[:, 1:],
        "three axes": h[None],
        "list inside": h.tolist(),
        "NumPy": h.numpy(),
        "float32": h.float(),
        "half precision": h.half(),
        "integers": h.long(),
        "bool": h.bool(),
        "device": h.to("meta"),
        "empty": h[:0],
        "None inside": None,
    }.items():
        yield name, (*others, part), REFUSED
    yield "one part more", (*given, h), REFUSED
    yield "no part", (), REFUSED
    yield "no tuple", h, REFUSED
    yield "list", list(given), EITHER
    yield "string", "state", REFUSED


def abuse_floats(tensor):
    """Abuse a tensor among others, to which it must fit."""
    for name, wrong in {
        "float32": tensor.float(),
        "half precision": tensor.half(),
        "integers": tensor.long(),
        "bool": tensor.bool(),
        "complex": tensor.to(torch.complex128),
        "one axis more": tensor[None],
        "one axis less": tensor[0],
        "longer": torch.cat((tensor, tensor[:1])),
        "empty": tensor[:0],
        "device": tensor.to("meta"),
        "string": "abc",
        "None": None,
        "number": 1.5,
    }.items():
        yield name, wrong, REFUSED
    yield "NumPy", tensor.numpy(), SAME
    yield "list", tensor.tolist(), REFUSED  # which would be of PyTorch's dtype
    yield "NaN", put(tensor, NAN), REFUSED
    yield "infinite", put(tensor, INF), REFUSED
    yield "huge", tensor * 1e300, REFUSED


def abuse_any_state(given):
    for wrong in ([given], {"h": given}, 0.5, "state", given[0].numpy(), True):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_logits(logits):
    yield "list", logits.tolist(), SAME
    yield "NumPy", logits.numpy(), SAME
    yield "float32", logits.float(), SAME
    yield "half precision", logits.half(), SAME
    yield "integers", logits.long(), REFUSED
    yield "bool", logits.bool(), REFUSED
    yield "complex", logits.to(torch.complex64), REFUSED
    yield "shape", logits[None], REFUSED
    yield "scalar", logits[0], REFUSED
    yield "empty", logits[:0], REFUSED
    yield "NaN", put(logits, NAN), REFUSED
    yield "infinite", put(logits, INF), REFUSED
    yield "nothing possible", torch.full_like(logits, -INF), REFUSED
    yield "huge", logits + 2e4, SAME
    yield "negative", logits - 2e4, SAME
    yield "string", "abc", REFUSED
    yield "None", None, REFUSED


def abuse_model(_):
    for wrong in (None, "model", LanguageModel, 5, [model()], model().state_dict()):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_reading_model(_):
    yield from abuse_model(_)
    yield "looks ahead", both_ways(), REFUSED
    yield "looks ahead inside", nn.Sequential(both_ways()), REFUSED


def abuse_layer(_):
    for wrong in (None, "RNN", RNN, 5):
        yield type(wrong).__name__, wrong, REFUSED
    yield "no recurrent layer", nn.Linear(V, H), REFUSED
    yield "no parameter", nn.Identity(), REFUSED
    yield "batch first", nn.GRU(V, H, batch_first=True), REFUSED
    yield "projection", nn.LSTM(V, H, proj_size=2), REFUSED
    yield "other vocabulary", RNN(V + 1, H), REFUSED
    yield "other vocabulary in PyTorch's", nn.RNN(V - 1, H), REFUSED


def abuse_batches(batches):
    ((X, Y),) = batches
    yield "int32", [(X.int(), Y.int())], SAME
    yield "lists", [[X.tolist(), Y.tolist()]], SAME
    yield "NumPy", [(X.numpy(), Y.numpy())], SAME
    yield "iterator", iter(batches), SAME
    for name, pair in {
        "transposed": (X, Y.T),
        "flat": (X, Y.reshape(-1)),
        "flat both": (X[0], Y[0]),
        "longer": (X, Y[:, 1:]),
        "other number": (X, Y[:1]),
        "no step": (X[:, :0],) * 2,
        "no row": (X[:0], Y[:0]),
        "float": (X, Y.double()),
        "bool": (X.bool(), Y),
        "half precision": (X.half(), Y),
        "NaN": (X, Y * NAN),
        "three": (X, Y, Y),
        "negative": (put(X, -1), Y),
        "ignored by PyTorch": (X, put(Y, -100)),
        "other vocabulary": (X, put(Y, V)),
        "huge": (put(X, 2**62), Y),
        "device": (X.to("meta"), Y.to("meta")),
        "half device": (X, Y.to("meta")),
        "None": (X, None),
        "string": (X, "ab"),
        "no pair": X,
        "number": 5,
    }.items():
        yield name, [pair], REFUSED
    for wrong in ([], 5, None, X, "ab", {"X": X}):
        yield repr(wrong)[:9], wrong, REFUSED


def abuse_make_batches(make):
    for name, given, expected in abuse_batches(make()):
        once = name == "iterator"  # and so empty in the second epoch
        yield name, lambda given=given: given, EITHER if once else expected
    for wrong in (None, "f", 5, make()):
        yield f"not callable: {type(wrong).__name__}", wrong, REFUSED


def abuse_optimiser(_):
    yield "other model", torch.optim.SGD(model().parameters(), lr=0.1), REFUSED
    for wrong in (None, "adam", torch.optim.SGD, 0.1):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_loss(_):
    """Give no scalar, or one that nothing would be learned from."""
    yield "no gradient", torch.tensor(1.0), REFUSED
    yield "vector", torch.ones(2, requires_grad=True) * 2, REFUSED
    for wrong in (None, 1.0, "loss", True, [torch.tensor(1.0)]):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_function(_):
    for wrong in ("print", 5, [print]):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_vocab(_):
    yield "other vocabulary", Vocab("abcdef"), REFUSED
    yield "smaller", Vocab("ab"), REFUSED
    for wrong in (None, {"a": 1}, "abcd", VOCAB.tokens, Vocab):
        yield type(wrong).__name__, wrong, REFUSED


def abuse_parameters(parameters):
    yield "generator", (p for p in parameters), SAME
    yield "tuple", tuple(parameters), SAME
    yield "twice", [*parameters, parameters[0]], SAME
    yield "with one without", [*parameters, nn.Parameter(torch.ones(2))], SAME
    yield "empty", [], REFUSED
    yield "gradients", [p.grad for p in parameters], REFUSED
    yield "a gradient", parameters[0].grad, REFUSED
    yield "no leaf", parameters[0] * 2, REFUSED
    for wrong in (None, 5, "w", [None], [1.0], [parameters], {"w": 1}, nn.Linear):
        yield repr(wrong)[:12], wrong, REFUSED
