"""What the checks return, and the words in which they refuse, exactly.

These words are the library's: every public function refuses with them (test_abuse.py).
"""

import numpy as np
import pytest
import torch
from torch import nn

from companion.support import arguments, checks, extras

H = torch.zeros(2, 3)
LINEAR, GRU = nn.Linear(1, 1), nn.GRU(4, 3)
BOTH_WAYS = nn.Sequential(nn.GRU(4, 3, bidirectional=True))
BATCH_FIRST, PROJECTED = nn.GRU(4, 3, batch_first=True), nn.LSTM(4, 3, proj_size=2)
SGD = torch.optim.SGD(LINEAR.parameters(), lr=0.1)
READER = nn.Linear(1, 1)
READER.vocab_size = 4
ABOVE = "an integer up to 2147483647"
IDS = "integers, as a tensor, an array or a list"
PLACE = "a device that this machine and PyTorch have, such as 'cpu'"
FLOATING = "a floating-point torch.dtype, or None"
MADE, IDS_MADE = "a tensor (3, 2) of torch.int64", torch.ones(3, 2).long()
GIVEN = {"X": torch.zeros(2, 3), "y": torch.zeros(3).long()}
AXES = {"X": "TN", "y": "N"}
FIT = "none empty, all float32 or all float64 (y: integers), on one device"


def meta(*shape):
    return torch.zeros(shape, dtype=torch.int64, device="meta")


REFUSED = {
    # refuse: the value in one line, cut short, a tensor by its shape
    "x is 'a b'; accepted: y": lambda: checks.refuse("x", "a   b", "y"),
    f"x is {'1' * 60}; accepted: y": lambda: checks.refuse("x", int("1" * 60), "y"),
    f"x is {'1' * 57}...; accepted: y": lambda: checks.refuse("x", int("1" * 61), "y"),
    f"x is {MADE}; accepted: y": lambda: checks.refuse(
        "x", torch.ones(3, 2).long(), "y"
    ),
    # single values
    "x is 1; accepted: a string": lambda: checks.kind("x", 1, str, "a string"),
    f"n is 0; accepted: 1 or more, {ABOVE}": lambda: checks.sizes(m=1, n=0),
    f"n is 1; accepted: 2 or more, {ABOVE}": lambda: checks.sizes(n=1, least=2),
    f"n is 2147483648; accepted: 1 or more, {ABOVE}": lambda: checks.sizes(n=2**31),
    f"n is True; accepted: 1 or more, {ABOVE}": lambda: checks.sizes(n=True),
    f"n is 2.0; accepted: 1 or more, {ABOVE}": lambda: checks.sizes(n=2.0),
    "r is '2'; accepted: some": lambda: checks.number("r", "2", "some", bool),
    "r is True; accepted: some": lambda: checks.number("r", True, "some", bool),
    "r is 0; accepted: some": lambda: checks.number("r", 0, "some", bool),
    "r is 0; accepted: a number above 0": lambda: checks.above_zero(q=1, r=0),
    "r is nan; accepted: a number above 0": lambda: checks.above_zero(r=np.nan),
    "p is 1.0; accepted: 0 up to, not including, 1": lambda: checks.dropout(p=1.0),
    "p is -0.1; accepted: 0 up to, not including, 1": lambda: checks.dropout(p=-0.1),
    "q is 'no'; accepted: True or False": lambda: checks.flags(p=True, q="no"),
    "model is 1; accepted: a torch.nn.Module": lambda: checks.model(1),
    "generator is 1; accepted: a Generator": lambda: checks.generator(1),
    "generator is on cpu; accepted: cuda:0": lambda: checks.generator(
        torch.Generator(), torch.device("cuda:0")
    ),
    f"device is 'moon'; accepted: {PLACE}": lambda: checks.place("moon"),
    f"dtype is torch.int64; accepted: {FLOATING}": lambda: checks.place(
        dtype=torch.int64
    ),
    # lists and tensors
    "x is 'ab'; accepted: a list": lambda: checks.as_list("x", "ab", "a list"),
    "x is {}; accepted: a list": lambda: checks.as_list("x", {}, "a list"),
    "x is 1; accepted: a list": lambda: checks.as_list("x", 1, "a list"),
    "x is 'ab'; accepted: several strings, say in a list": lambda: checks.as_strings(
        "x", "ab"
    ),
    "x is 1; accepted: words": lambda: checks.as_strings("x", 1, "words"),
    "an entry of x is 1; accepted: a string": lambda: checks.as_strings("x", ["a", 1]),
    "x is '1'; accepted: some": lambda: checks.as_tensor("x", "1", "some"),
    "x is [None]; accepted: some": lambda: checks.as_tensor("x", [None], "some"),
    "x is [[1, True]]; accepted: some": lambda: checks.as_tensor(
        "x", [[1, True]], "some"
    ),
    # ids
    f"ids is '1'; accepted: {IDS}": lambda: checks.as_ids("1"),
    "x has dtype torch.float32; accepted: an integer dtype": lambda: checks.as_ids(
        [0.5], name="x"
    ),
    "x has shape (1, 1) and dtype torch.int64; accepted: a one-dimensional integer "
    "tensor": lambda: checks.as_ids([[1]], name="x", dims=1),
    "x has shape (0, 2) and dtype torch.int64; accepted: (N, T), at least (1, 1)": (
        lambda: checks.as_ids(torch.zeros(0, 2).long(), name="x", dims=2)
    ),
    "ids run from 0 to 4; accepted: 0 ... 3": lambda: checks.ids([0, 4, 2], 4),
    "x run from -1 to 2; accepted: 0 ... 3": lambda: checks.ids([2, -1], 4, name="x"),
    "x is on the device meta; accepted: ids with values": lambda: checks.ids(
        meta(2), 4, name="x"
    ),
    f"num_classes is 0; accepted: 1 or more, {ABOVE}": lambda: checks.ids([0], 0),
    "ids has shape (2, 1) and dtype torch.int64; accepted: a one-dimensional integer "
    "tensor": lambda: checks.reading(LINEAR, [[1], [2]]),
    "ids holds 1 tokens; accepted: 2 or more": lambda: checks.reading(LINEAR, [1]),
    "ids run from 1 to 4; accepted: 0 ... 3": lambda: checks.reading(READER, [1, 4]),
    "ids is on meta; accepted: cpu": lambda: checks.reading(LINEAR, meta(2)),
    "x is on meta; accepted: cpu": lambda: checks.device("x", meta(2), H),
    "x has dtype torch.float64, on cpu; accepted: torch.float32, on cpu, like the "
    "parameters": lambda: checks.like("x", H.double(), H),
    "x has dtype torch.float32, on meta; accepted: torch.float32, on cpu, like the "
    "parameters": lambda: checks.like("x", H.to("meta"), H),
    # layers
    "inputs is 1; accepted: a tensor (T, N, 4), time first": lambda: checks.layer_input(
        1, 4, H
    ),
    "inputs has shape (0, 2, 4); accepted: (T, N, 4) with T at least 1, time first": (
        lambda: checks.layer_input(torch.zeros(0, 2, 4), 4, H)
    ),
    "inputs has dtype torch.float64, on cpu; accepted: torch.float32, on cpu, like the "
    "parameters": lambda: checks.layer_input(torch.zeros(1, 2, 4).double(), 4, H),
    "state is a tuple of 2; accepted: tuple of 1": lambda: checks.state(
        (H, H), (H,), H
    ),
    "state is a <class 'list'>; accepted: tuple of 2": lambda: checks.state(
        [H, H], (H, H), H
    ),
    "a part of state is 1; accepted: a tensor (2, 3)": lambda: checks.state(
        (H, 1), (H, H), H
    ),
    "state has shape (1, 3); accepted: (2, 3) for inputs (2, 3)": lambda: checks.state(
        H[:1], H, H
    ),
    "state has dtype torch.float64, on cpu; accepted: torch.float32, on cpu, like the "
    "parameters": lambda: checks.state(H.double(), H, H),
    "optimiser is 1; accepted: a torch.optim.Optimizer": lambda: checks.optimiser(
        1, LINEAR
    ),
    "optimiser owns no parameter of the model; accepted: one made for it": (
        lambda: checks.optimiser(SGD, nn.Linear(1, 1))
    ),
    # arguments that belong together
    f"X (2, 3) torch.float32 cpu, y (4,) torch.int64 cpu; accepted: X (T, N), y (N), "
    f"{FIT}": lambda: arguments.axes(GIVEN | {"y": torch.zeros(4).long()}, AXES, "y"),
    "temperature is -1; accepted: a number from 0 up": lambda: arguments.choice(
        4, -1, None, None
    ),
    "top_k is 5; accepted: 1 ... 4, or None": lambda: arguments.choice(4, 1, 5, None),
    "layer is 1; accepted: a recurrent torch.nn.Module": lambda: arguments.layer(1, 4),
    "layer is Tanh(); accepted: a layer with parameters and hidden_size": (
        lambda: arguments.layer(nn.Tanh(), 4)
    ),
    "layer.input_size is 4; accepted: 5": lambda: arguments.layer(GRU, 5),
    "layer.batch_first is True; accepted: False": lambda: arguments.layer(
        BATCH_FIRST, 4
    ),
    "layer.proj_size is 2; accepted: 0": lambda: arguments.layer(PROJECTED, 4),
    "a minibatch is [[1]]; accepted: a pair X, Y": lambda: arguments.minibatch(
        [[1]], LINEAR
    ),
    "Y has shape (1, 1); accepted: (1, 2)": lambda: arguments.minibatch(
        ([[1, 2]], [[1]]), LINEAR
    ),
    "X has shape (1,) and dtype torch.float32; accepted: (N, T), at least (1, 1)": (
        lambda: arguments.minibatch(([0.5], [[1]]), LINEAR)
    ),
    "X is on meta; accepted: cpu": lambda: arguments.minibatch(
        (meta(1, 2), meta(1, 2)), LINEAR
    ),
    "X run from 4 to 4; accepted: 0 ... 3": lambda: arguments.minibatch(
        ([[4]], [[4]]), READER
    ),
    "ids has shape (1, 2), lengths (1,); accepted: (T, N) and (N,), neither of them "
    "0": (lambda: arguments.padded([[1, 2]], [1], 4)),
    "lengths run from 1 to 2; accepted: 1 ... 1": lambda: arguments.padded(
        [[1, 2]], [1, 2], 4
    ),
    "lengths run from -1 to 1; accepted: 0 ... 2147483646": lambda: arguments.padded(
        [[1, 2]], [-1, 1], 4
    ),
    "sequences is 1; accepted: the ids of each, (n,), in a list": lambda: (
        arguments.sequences(1, 4)
    ),
    "sequences have lengths [1, 0]; accepted: 1 or more, of at least one sequence": (
        lambda: arguments.sequences([[1], []], 4)
    ),
    f"sequences have lengths {[1] * 9 + [0]}; accepted: 1 or more, of at least one "
    "sequence": lambda: arguments.sequences([[1]] * 9 + [[], []], 4),
    "sequences are on several devices; accepted: one": lambda: arguments.sequences(
        [[1], meta(1)], 4
    ),
    "sequences run from 1 to 4; accepted: 0 ... 3": lambda: arguments.sequences(
        [[1], [4]], 4
    ),
    "carry_state is 1; accepted: True or False": lambda: arguments.training(
        LINEAR, SGD, 1, 1
    ),
    "carry_state is True; accepted for a bidirectional model: False (its way back "
    "begins at the end of each minibatch)": lambda: arguments.training(
        BOTH_WAYS, torch.optim.SGD(BOTH_WAYS.parameters(), 1), True, 1
    ),
    "max_norm is 0; accepted: a number above 0": lambda: arguments.training(
        LINEAR, SGD, True, 0
    ),
    "vocab has 3 tokens; accepted: 4, as the model has": lambda: arguments.vocab_size(
        3, 4
    ),
}


@pytest.mark.parametrize(("said", "call"), REFUSED.items(), ids=REFUSED)
def test_what_is_wrong_is_refused_in_these_words(said, call):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (all of it, below)
        call()
    assert str(caught.value) == said


def test_what_is_right_passes():
    checks.sizes(n=1, m=2**31 - 1)
    checks.above_zero(r=1e-300, s=np.inf)
    checks.dropout(p=0, q=0.999)
    checks.generator(torch.Generator(), torch.device("cpu"))
    checks.place("cpu", torch.bfloat16)
    checks.device("x", meta(1), None)
    checks.state(H, H, H)
    checks.layer_input(torch.zeros(1, 2, 4), 4, H)
    arguments.axes(GIVEN, AXES, "y")
    arguments.axes(GIVEN | {"X": torch.zeros(2, 3).double()}, AXES, "y")
    for top_k in (None, 1, 4):
        arguments.choice(4, 0, top_k, None)
    arguments.training(BOTH_WAYS, torch.optim.SGD(BOTH_WAYS.parameters(), 1), False, 1)
    assert checks.looks_ahead(BOTH_WAYS)
    assert not checks.looks_ahead(GRU)
    assert arguments.layer(GRU, 4) is next(GRU.parameters())
    arguments.minibatch(([[1]], [[1]]), nn.Tanh())  # without parameters, on no device


def test_what_is_handed_in_becomes_a_tensor():
    for same in ([1, 2], (1, 2), range(1, 3), np.array([1, 2]), torch.tensor([1, 2])):
        assert checks.as_tensor("x", same, "some").tolist() == [1, 2]
    assert checks.as_tensor("x", [], "some").dtype == torch.int64
    assert checks.reading(LINEAR, [1, 9]).tolist() == [1, 9]
    assert checks.reading(READER, torch.tensor([1, 3]).int()).dtype == torch.int64
    ids, lengths = arguments.padded([[1, 2], [3, 9]], torch.tensor([2, 1]).int(), 4)
    assert (ids.tolist(), lengths.tolist()) == ([[1, 2], [3, 0]], [2, 1])
    assert [s.tolist() for s in arguments.sequences([[1], (2, 3)], 4)] == [[1], [2, 3]]


def test_autocast_lets_dtypes_differ_but_not_kinds():
    with torch.autocast("cpu"):
        checks.like("x", H.bfloat16(), H)
        with pytest.raises(ValueError, match=r"x has dtype torch\.int64"):
            checks.like("x", H.long(), H)


def test_an_error_of_what_is_read_is_the_users_own():
    with pytest.raises(TypeError, match="concatenate"):
        checks.as_list("x", ("a" + n for n in [1]), "a list")


def test_a_library_that_is_missing_is_named():
    said = "odd is missing, and this needs it; accepted: the library with its extra, "
    with pytest.raises(ImportError) as caught:
        extras.load("no_such_module", "odd")
    assert str(caught.value) == f"{said}pip install 'rnn-companion[chapters]'"
    assert extras.load("math", "odd").pi > 3
