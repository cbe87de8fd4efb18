"""What may be handed to a function by mistake, by the kind of the argument.

Each `abuse_...` takes a valid value and yields names, values in its place, and what is
expected: the same result, a refusal, or either.
"""

import math

import numpy as np
import torch
from torch import nn

from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab

V, H, F64 = 5, 4, torch.float64
VOCAB = Vocab("abcd")
NAN, INF = math.nan, math.inf
SAME, REFUSED, EITHER = "same", "refused", "same or refused"


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layer():
    made = RNN(V, H, scale=0.7, generator=seeded(), dtype=F64)
    nn.init.normal_(made.b_h, generator=seeded(1))
    return made


def model():
    return LanguageModel(layer(), V, scale=0.7, generator=seeded(2))


def both_ways():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(nn.GRU(V, H, bidirectional=True, dtype=F64), V)


def stream(n=21):
    return torch.randint(V, (n,), generator=seeded(3))


def minibatch():
    return stream(12).view(2, 6)


def inputs():
    return torch.randn(3, 2, V, generator=seeded(4), dtype=F64)


def state():
    return (torch.randn(2, H, generator=seeded(5), dtype=F64),)


def pairs():
    X = minibatch()
    return [(X[:, :-1], X[:, 1:])]


def with_gradients():
    made = [nn.Parameter(torch.zeros(3, dtype=F64)) for _ in range(2)]
    for p in made:
        p.grad = torch.full((3,), 2.0, dtype=F64)
    return made


def pieces(made):
    return [p.detach().clone() for p in made.parameters()]


def normal(*shape):
    return torch.randn(shape, generator=seeded(), dtype=F64)


# The kinds


def put(tensor, value):
    """Return a copy of a tensor whose last entry is another."""
    changed = tensor.clone()
    changed.view(-1)[-1] = value
    return changed


def abuse_ids(ids):
    yield "int32", ids.int(), SAME
    yield "uint8", ids.to(torch.uint8), SAME
    yield "list", ids.tolist(), SAME
    yield "tuple", tuple(ids.tolist()), SAME
    yield "NumPy", ids.numpy(), SAME
    yield "NumPy int32", ids.int().numpy(), SAME
    yield "list of NumPy", [np.int64(i) for i in ids.view(-1)[: len(ids)]], EITHER
    yield "float", ids.double(), REFUSED
    yield "half precision", ids.half(), REFUSED
    yield "complex", ids.to(torch.complex64), REFUSED
    yield "bool", ids.bool(), REFUSED
    yield "bools in a list", [True] * len(ids), REFUSED
    mixed = ids.tolist()
    (mixed if ids.dim() == 1 else mixed[0])[0] = True
    yield "bool among integers", mixed, REFUSED
    yield "list of floats", ids.double().tolist(), REFUSED
    yield "NaN", [NAN] * len(ids), REFUSED
    yield "infinite", put(ids.double(), INF), REFUSED
    yield "negative", put(ids, -1), REFUSED
    yield "ignored by PyTorch", put(ids, -100), REFUSED
    yield "huge", put(ids, 2**62), REFUSED
    yield "beyond int64", [2**70] * len(ids), REFUSED
    yield "other vocabulary", put(ids, V), REFUSED
    yield "shape", ids[None], REFUSED
    yield "scalar", torch.tensor(1), REFUSED
    yield "number", 1, REFUSED
    yield "empty", ids[:0], REFUSED
    yield "empty list", [], REFUSED
    yield "ragged", [[1, 2], [3]], REFUSED
    yield "device", ids.to("meta"), REFUSED
    yield "string", "123", REFUSED
    yield "bytes", b"123", REFUSED
    yield "None", None, REFUSED
    yield "set", {1, 2}, REFUSED
    yield "nested None", [None] * len(ids), REFUSED


def abuse_size(size):
    yield "NumPy", np.int64(size), SAME
    yield "tensor", torch.tensor(size), EITHER
    yield "float", float(size), REFUSED
    yield "fraction", size + 0.5, REFUSED
    yield "NumPy float", np.float64(size), REFUSED
    yield "zero", 0, REFUSED
    yield "negative", -1, REFUSED
    yield "bool", True, REFUSED
    yield "NumPy bool", np.bool_(True), REFUSED
    yield "string", str(size), REFUSED
    yield "None", None, REFUSED
    yield "list", [size], REFUSED
    yield "NaN", NAN, REFUSED
    yield "infinite", INF, REFUSED
    yield "huge", 10**12, REFUSED
    yield "beyond int64", 2**70, REFUSED


def abuse_optional_size(size):
    yield from (row for row in abuse_size(size) if row[0] != "None")


def abuse_number(number):
    yield "NumPy", np.float64(number), SAME
    yield "tensor", torch.tensor(number, dtype=F64), EITHER
    yield "string", str(number), REFUSED
    yield "None", None, REFUSED
    yield "bool", True, REFUSED
    yield "list", [number], REFUSED
    yield "two", torch.tensor([number, number]), REFUSED
    yield "complex", complex(number), REFUSED
    yield "NaN", NAN, REFUSED
    yield "infinite", INF, REFUSED
    yield "negative", -1.0, REFUSED
    yield "huge", 1e300, REFUSED


def abuse_flag(flag):
    for name, wrong in {
        "number": int(flag),
        "string": "False",
        "None": None,
        "NumPy": np.bool_(flag),
        "tensor": torch.tensor(flag),
        "list": [flag],
        "NaN": NAN,
    }.items():
        yield name, wrong, EITHER if name == "NumPy" else REFUSED


def abuse_needed_generator(_):
    yield from abuse_generator(_)
    yield "None", None, REFUSED


def abuse_generator(_):
    for wrong in (0, "seed", True, np.random.default_rng(0), torch.Generator, 1.5):
        yield f"{type(wrong).__name__}", wrong, REFUSED


def abuse_device(_):
    yield "cpu", torch.device("cpu"), SAME
    for wrong in ("gpu", "cuda:99", "", 99, 1.5, [], torch.float32):
        yield repr(wrong), wrong, REFUSED


def abuse_dtype(_):
    others = (torch.int64, torch.bool, torch.complex64, torch.uint8)
    for wrong in (*others, torch.float8_e5m2, "float64", float, np.float64, 64):
        yield repr(wrong), wrong, REFUSED


def abuse_string(string):
    for wrong in (None, 5, 1.5, True, string.encode(), [string], torch.tensor(1)):
        yield type(wrong).__name__, wrong, REFUSED
    yield "NumPy", np.str_(string), SAME
    yield "empty", "", REFUSED


def abuse_tokens(tokens):
    yield "list", list(tokens), SAME
    yield "generator", (token for token in tokens), SAME
    for wrong in (None, 5, tokens.encode(), [1, 2], [None], [b"a"], [NAN], [[1]]):
        yield repr(wrong), wrong, REFUSED
    yield "mapping", dict.fromkeys(tokens, 3), REFUSED
    yield "tensor", stream(), REFUSED
    yield "NumPy ids", stream().numpy(), REFUSED
    yield "half strings", [*tokens, 5], REFUSED


def abuse_reserved(_):
    for wrong in ("<pad>", "", None, 5, [1], [None], ["<unk>"], ["x", "x"], {"x": 1}):
        yield repr(wrong), wrong, REFUSED


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
    (h,) = given
    yield "one row", (h[:1],), REFUSED  # which would be spread over the minibatch
    yield "width", (h[:, 1:],), REFUSED
    yield "three axes", (h[None],), REFUSED
    yield "two parts", (h, h), REFUSED
    yield "no part", (), REFUSED
    yield "no tuple", h, REFUSED
    yield "list", [h], EITHER
    yield "list inside", (h.tolist(),), REFUSED
    yield "NumPy", (h.numpy(),), REFUSED
    yield "float32", (h.float(),), REFUSED
    yield "half precision", (h.half(),), REFUSED
    yield "integers", (h.long(),), REFUSED
    yield "bool", (h.bool(),), REFUSED
    yield "device", (h.to("meta"),), REFUSED
    yield "empty", (h[:0],), REFUSED
    yield "None inside", (None,), REFUSED
    yield "string", "state", REFUSED


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


def abuse_nats(nats):
    yield "tensor", torch.tensor(nats, dtype=F64), SAME
    yield "NumPy", np.float64(nats), SAME
    for wrong in ("1", None, True, [nats], torch.zeros(2), complex(nats)):
        yield repr(wrong), wrong, REFUSED


def abuse_member(_):
    """Give what no vocabulary holds: to ask for it is no mistake."""
    for other in (None, 5, ["a"], torch.tensor(1), b"a", {}, "ab", ""):
        yield repr(other), other, False


def abuse_shape(shape):
    for size in (0, -1, 2.0, True, "2", None, 10**12):
        yield repr(size), (*shape[:-1], size), REFUSED
