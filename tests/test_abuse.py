"""The library's public functions, handed what they should not be: function by abuse.

The rows, one valid call of each public function, are in the files `abuse_rows_*.py`.
Each argument has a kind, and each kind its abuses (`abuse_kinds*.py`). An abused call
either returns what the plain call returns, or what `right` says is right for it, or
raises a `ValueError` that names the argument, its value and what is accepted, at most
two functions deep: the one that was called, and one that it called (the checks of
`companion.support` do not count, nor private helpers, nor PyTorch). Nothing else.
"""

import copy
import itertools
import re
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import companion
from companion.text import Vocab
from tests.abuse_rows import CALLS
from tests.abuse_values import F64, REFUSED, SAME, in_precision


def same(found, expected):
    """Compare values; a dtype may differ, as that of minibatches follows the ids'."""
    if isinstance(expected, torch.Tensor | np.ndarray):
        found, expected = torch.as_tensor(found), torch.as_tensor(expected)
        if found.is_meta or found.shape != expected.shape:
            return found.shape == expected.shape
        wide = (t.detach().to(F64).nan_to_num(-7.0) for t in (found, expected))
        return torch.equal(*wide)
    if isinstance(expected, tuple | list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


#: What a message may call an argument of another name.
CALLED = {
    "batches": ("X", "Y", "minibatch"),
    "make_batches": ("X", "Y", "minibatch", "batches"),
    "context": ("ids",),
    "model": ("carry_state", "layer", "dropout"),
    "minibatch": ("ids", "lengths", "labels"),
    "examples": ("inputs", "x has"),
    "x": ("inputs",),
    "inputs": ("batch_size",),
    "loss": ("max_norm",),
    "minibatches": ("ids", "lengths", "labels"),
    "names": ("name",),
}


def fault(error, argument):
    """Say what is wrong with an error, None if nothing is."""
    if type(error) not in (ValueError, TypeError):
        return f"raises {type(error).__name__}: {error}"
    called = "|".join(map(re.escape, (argument, *CALLED.get(argument, ()))))
    if not re.search(rf"\b({called})\b", str(error)):
        return f"the message does not name the argument: {error}"
    if not re.search("; accepted(?!: None)", str(error)):
        return f"the message does not say what is accepted: {error}"
    frames = [
        frame.name
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(companion.__file__).parent in Path(frame.filename).parents
        and Path(frame.filename).parent.name != "support"
        and not re.match("check_|_(?!_)", frame.name)
        and "__mutmut_" not in frame.name  # mutation testing doubles each frame
    ]
    # A constructor and that of its base class are one call.
    deep = frames[frames[:2] == ["__init__", "__init__"] :]
    return f"raised {len(deep)} deep: {deep}" if len(deep) > 2 else None


def verdict(call, argument, number, plain):
    """Try one cell of the table: return its abuse and what is wrong, if anything."""
    arguments = call.arguments()  # fresh: a call may change them
    abuses = call.kinds[argument](arguments.get(argument))
    abuse, arguments[argument], expected = next(itertools.islice(abuses, number, None))
    return abuse, judge(call, argument, abuse, arguments, expected, plain)


def judge(call, argument, abuse, arguments, expected, plain):
    expected = call.right.get((argument, abuse), expected)
    try:
        found = call.finish(call.function(**arguments))
    except Exception as error:
        if callable(expected) or expected is SAME or expected is False:
            return f"raises {type(error).__name__}: {error}"
        return fault(error, argument)
    if expected is REFUSED:
        return f"returns {found!r}"[:200]
    if callable(expected):
        plain = expected(arguments)
    elif expected is False:
        plain = False
    return None if same(found, plain) else f"returns {found!r}, not {plain!r}"[:300]


TABLE = [(name, argument) for name, call in CALLS.items() for argument in call.kinds]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of NumPy and PyTorch, on the way
@pytest.mark.parametrize(("name", "argument"), TABLE, ids=map("-".join, TABLE))
def test_an_abused_argument_is_right_or_refused(name, argument):
    call = CALLS[name]
    plain = call.finish(call.function(**call.arguments()))
    number = len(list(call.kinds[argument](call.arguments().get(argument))))
    cells = [verdict(call, argument, i, plain) for i in range(number)]
    wrong = [f"{abuse}: {found}" for abuse, found in cells if found]
    assert not wrong, "\n".join(wrong)


def tensors(values):
    """List the tensors in what a function was given or returned."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    if isinstance(values, nn.Module | str | torch.Generator | Vocab):
        return []
    if isinstance(values, tuple | list) or "dict_values" in type(values).__name__:
        return [tensor for value in values for tensor in tensors(value)]
    return []


@pytest.mark.parametrize("name", CALLS)
def test_what_changes_after_the_call_changes_nothing(name):
    call = CALLS[name]
    if call.shares:
        pytest.skip(call.shares)
    expected = call.finish(call.function(**call.arguments()))
    arguments = call.arguments()
    before = copy.deepcopy(tensors(arguments))
    returned = call.function(**arguments)
    for tensor, old in zip(tensors(arguments), before, strict=True):
        if not any(tensor is t for w in call.writes for t in tensors(arguments[w])):
            assert same(tensor, old), "an argument was changed by the call"
    with torch.no_grad():
        for tensor in tensors(arguments):
            tensor.fill_(1)
    found = call.finish(returned)
    assert same(found, expected), "the result follows what was handed in"
    with torch.no_grad():
        for tensor in tensors(found):
            tensor.fill_(2)
    assert all(t.eq(1).all() for t in tensors(arguments)), "and the other way round"


@pytest.mark.parametrize("name", CALLS)
def test_calling_twice_is_calling_once(name):
    """Nothing is remembered, and no global random number drawn or waited for."""
    call = CALLS[name]
    before = torch.get_rng_state()
    first, second = (call.finish(call.function(**call.arguments())) for _ in range(2))
    assert same(first, second)
    assert torch.get_rng_state().equal(before)


HALF = [name for name, call in CALLS.items() if call.half]


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, "autocast"])
def test_half_precision_is_right_or_refused(name, dtype):
    """All floating-point numbers of a call in half precision: parameters and data."""
    call = CALLS[name]
    expected = tensors(call.finish(call.function(**call.arguments())))

    def narrow(value):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if value.grad is not None:
                value.data, grad = value.data.to(to), value.grad.to(to)
                value.grad = grad
                return value
            return value.to(to)
        if isinstance(value, tuple | list):
            return type(value)(map(narrow, value))
        return value.to(to) if isinstance(value, nn.Module) else value

    to = torch.float32 if dtype == "autocast" else dtype
    with (
        in_precision(to),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == "autocast"),
    ):
        arguments = {key: narrow(value) for key, value in call.arguments().items()}
        if call.half is REFUSED and dtype != "autocast":
            with pytest.raises(ValueError, match=f"{to}.*; accepted: .*float32"):
                call.function(**arguments)
            return
        found = tensors(call.finish(call.function(**arguments)))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        error = (one.to(F64) - other).norm() / other.norm()
        assert error < 0.03
