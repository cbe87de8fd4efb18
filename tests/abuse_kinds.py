"""What may be handed to a function by mistake, by kind of argument: plain values.

Each `abuse_...` takes a valid value and yields names, values in its place, and what is
expected: the same result, a refusal, or either.
"""

import numpy as np
import torch

from tests.abuse_values import (
    EITHER,
    F64,
    INF,
    NAN,
    REFUSED,
    SAME,
    V,
    put,
    stream,
)


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
