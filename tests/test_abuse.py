"""The library's public functions, handed what they should not be: function by abuse.

`CALLS` has one valid call of each public function. Each argument has a kind, and each
kind its abuses. An abused call either returns what the plain call returns, or what
`right` says is right for it, or raises a `ValueError` that names the argument, its
value and what is accepted, at most two functions deep: the one that was called, and one
that it called (`companion.checks` does not count, nor does PyTorch). Nothing else.

Private helpers do not count either. A public function without an entry, an argument
without a kind, and a module that is neither covered nor in `NOT_YET` turn this red.
"""

import copy
import importlib
import inspect
import itertools
import pkgutil
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import companion
from companion import (
    batching,
    clipping,
    datasets,
    generation,
    language_model,
    measuring,
    rnn,
    text,
    training,
)
from companion.laboratory import kneser_ney, ngram
from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab
from tests.abuses import (
    F64,
    INF,
    NAN,
    REFUSED,
    SAME,
    VOCAB,
    H,
    V,
    abuse_any_state,
    abuse_batches,
    abuse_device,
    abuse_dtype,
    abuse_flag,
    abuse_function,
    abuse_generator,
    abuse_ids,
    abuse_inputs,
    abuse_layer,
    abuse_logits,
    abuse_make_batches,
    abuse_member,
    abuse_model,
    abuse_nats,
    abuse_needed_generator,
    abuse_number,
    abuse_optimiser,
    abuse_optional_size,
    abuse_parameters,
    abuse_reading_model,
    abuse_reserved,
    abuse_shape,
    abuse_size,
    abuse_state,
    abuse_string,
    abuse_tokens,
    abuse_vocab,
    both_ways,
    inputs,
    layer,
    minibatch,
    model,
    normal,
    pairs,
    pieces,
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
    "laboratory.fast": "as lstm",
    "laboratory.recurrences": "as lstm",
    "laboratory.direct": "hands its ids to the checks, but works on what it was given",
    "laboratory.parallel": "needs several processes",
    "laboratory.prefixes": "to be moved to the common checks",
    "laboratory.classic": "the published code, with its own ways",
    "classifier": "being rewritten",
    "joint": "new",
    "names": "being rewritten",
    "normalise": "new",
    "padding": "new",
    "stored": "new",
    "classify": "a command",
}
#: Public names that take nothing, or nothing that could be wrong.
NO_ARGUMENT = {
    "datasets.time_machine",
    "datasets.time_machine_path",
    "datasets.names",
    "datasets.origin",
    "reference.load_d2l",
    "text.Vocab.__len__",
    "laboratory.ngram.WittenBell.size",
    "laboratory.kneser_ney.KneserNey.size",
}
#: What is no entrance for a user.
INSIDE = {
    "checks": "the checks themselves",
    "download": "called by datasets alone, with constants",
    "rnn.check_layer_input": "a check",
    "rnn.check_like": "a check",
    "rnn.check_state": "a check",
    "measuring.wide": "called on the logits of a model",
    "training.Epoch": "a record",
}
#: What returns the memory that it was given.
SHARES = {"language_model.detach_state": "cuts a graph and copies nothing"}


# One valid call of each ---------------------------------------------------------------


@dataclass
class Call:
    """A valid call: the function, fresh arguments, kinds, and what else is right."""

    function: Callable
    arguments: Callable[[], dict]
    kinds: dict[str, Callable]
    #: (argument, abuse) -> what the call returns, given the abused arguments.
    right: dict = field(default_factory=dict)
    #: Makes a value of what the call returned; what it returned may be lazy.
    finish: Callable = lambda returned: returned
    #: Arguments that the function changes: it is for that.
    writes: frozenset = frozenset()


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


def trained(function, finish):
    """Call with an optimiser of the model, and return what that learned besides."""

    def call(model, optimiser=..., **others):
        if optimiser is ...:
            owner = model if isinstance(model, nn.Module) else layer()
            optimiser = torch.optim.SGD(owner.parameters(), lr=0.1)
        returned = function(model=model, optimiser=optimiser, **others)
        return finish(returned), pieces(model)

    return call


def in_evaluation(model):
    with language_model.evaluating(model):
        return [module.training for module in model.modules()]


COUNTER = {"ids": abuse_ids, "order": abuse_size, "vocab_size": abuse_size}
COUNTED = {"ids": stream(), "order": 3, "vocab_size": V}
SCORED = {"ids": abuse_ids, "learn": abuse_flag}
WEIGHTS = {
    "scale": abuse_number,
    "generator": abuse_generator,
    "device": abuse_device,
    "dtype": abuse_dtype,
}
DRAWN = {"scale": 0.5, "device": "cpu", "dtype": F64}
SAMPLED = {
    "temperature": abuse_number,
    "top_k": abuse_optional_size,
    "generator": abuse_generator,
}
NO_TOKEN = {("tokens", "empty"): lambda a: torch.zeros(0, dtype=torch.int64)}
UNIFORM = [torch.full((V,), 1 / V, dtype=F64)] * 3
EMPTY = torch.zeros(0, dtype=torch.int64)
ANY_RADIUS = {("max_norm", "huge"): SAME, ("max_norm", "infinite"): SAME}


def no_context(counter):
    found = lambda a: counter(**COUNTED).distribution(EMPTY)  # noqa: E731
    return {("context", "empty"): found, ("context", "empty list"): found}


def distributions(counter):
    return [counter.distribution(torch.tensor(c)) for c in ([0], [1], [1, 2])]


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
        lambda generator=..., **others: batching.adding_batch(
            generator=seeded() if generator is ... else generator, **others
        ),
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
    ),
    "rnn.initial_weights": Call(
        lambda shape, generator=..., **others: rnn.initial_weights(
            *shape, generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {"shape": (2, 3), **DRAWN},
        {"shape": abuse_shape, **WEIGHTS},
        {("scale", "huge"): lambda a: 1e300 * normal(2, 3)},
    ),
    "rnn.RNN": Call(
        lambda generator=..., **others: RNN(
            generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {"input_size": 2, "hidden_size": 3, **DRAWN},
        {"input_size": abuse_size, "hidden_size": abuse_size, **WEIGHTS},
        {("scale", "huge"): lambda a: 1e300 * normal(2, 3)},
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
    ),
    "language_model.evaluating": Call(
        in_evaluation, lambda: {"model": model()}, {"model": abuse_model}
    ),
    "language_model.detach_state": Call(
        language_model.detach_state,
        lambda: {"state": state()},
        {"state": abuse_any_state},
    ),
    "language_model.LanguageModel": Call(
        lambda generator=..., **others: LanguageModel(
            generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {
            "layer": layer(),
            "vocab_size": V,
            "scale": 0.5,
            "dropout": 0.1,
            "input_dropout": 0.1,
        },
        {
            "layer": abuse_layer,
            "vocab_size": abuse_size,
            "scale": abuse_number,
            "dropout": abuse_number,
            "input_dropout": abuse_number,
            "generator": abuse_generator,
        },
        {("scale", "huge"): lambda a: 1e300 * normal(H, V)},
        finish=lambda made: made.W_hq.detach().clone(),
    ),
    "language_model.LanguageModel.begin_state": Call(
        lambda **a: both_ways().begin_state(**a),
        lambda: {"batch_size": 2, "device": "cpu"},
        {"batch_size": abuse_size, "device": abuse_device},
    ),
    "language_model.LanguageModel.forward": Call(
        lambda **a: model()(**a),
        lambda: {"ids": minibatch(), "state": state()},
        {"ids": abuse_ids, "state": abuse_state},
    ),
    "language_model.LanguageModel.outputs": Call(
        lambda **a: model().outputs(**a),
        lambda: {"ids": minibatch(), "state": state()},
        {"ids": abuse_ids, "state": abuse_state},
    ),
    "measuring.perplexity": Call(
        measuring.perplexity, lambda: {"nats": 1.5}, {"nats": abuse_nats}
    ),
    "measuring.evaluate": Call(
        measuring.evaluate,
        lambda: {"model": model(), "ids": stream(), "chunk": 7, "look_ahead": False},
        {
            "model": abuse_reading_model,
            "ids": abuse_ids,
            "chunk": abuse_size,
            "look_ahead": abuse_flag,
        },
    ),
    "training.train_epoch": Call(
        trained(training.train_epoch, lambda result: result),
        lambda: {
            "model": model(),
            "batches": pairs(),
            "carry_state": True,
            "max_norm": 1e6,
            "epoch": 1,
        },
        {
            "model": abuse_reading_model,
            "batches": abuse_batches,
            "optimiser": abuse_optimiser,
            "carry_state": abuse_flag,
            "max_norm": abuse_number,
            "epoch": abuse_size,
        },
        ANY_RADIUS,
        writes=frozenset({"model"}),
    ),
    "training.fit": Call(
        trained(training.fit, lambda history: [(e.train, e.norm) for e in history]),
        lambda: {
            "model": model(),
            "make_batches": pairs,
            "num_epochs": 2,
            "patience": 2,
            "carry_state": True,
            "max_norm": 1e6,
            "held_out": stream(),
        },
        {
            "model": abuse_reading_model,
            "make_batches": abuse_make_batches,
            "optimiser": abuse_optimiser,
            "num_epochs": abuse_size,
            "carry_state": abuse_flag,
            "max_norm": abuse_number,
            "held_out": abuse_ids,
            "patience": abuse_optional_size,
            "after_epoch": abuse_function,
        },
        ANY_RADIUS,
        writes=frozenset({"model"}),
    ),
    "generation.choose": Call(
        lambda generator=..., **others: generation.choose(
            generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {
            "logits": torch.tensor([0.5, -1.0, 32.0, 1.5, -3.0], dtype=F64),
            "temperature": 1.0,
            "top_k": 1,
        },
        {"logits": abuse_logits, **SAMPLED},
        {("temperature", "huge"): SAME},
    ),
    "generation.generate": Call(
        lambda generator=..., **others: generation.generate(
            generator=seeded() if generator is ... else generator, **others
        ),
        lambda: {
            "prefix": "ab",
            "num_tokens": 3,
            "model": model(),
            "vocab": VOCAB,
            "temperature": 1.0,
            "top_k": 1,
        },
        {
            "prefix": abuse_string,
            "num_tokens": abuse_size,
            "model": abuse_reading_model,
            "vocab": abuse_vocab,
            **SAMPLED,
        },
        {("num_tokens", "zero"): lambda a: "ab", ("temperature", "huge"): SAME},
    ),
    "datasets.record": Call(
        datasets.record, lambda: {"name": "layers"}, {"name": abuse_string}
    ),
    "laboratory.ngram.WittenBell": Call(
        ngram.WittenBell,
        lambda: {**COUNTED, "discount": 0.5, "scale": 1.0},
        {**COUNTER, "discount": abuse_number, "scale": abuse_number},
        {("scale", "huge"): lambda a: UNIFORM},
        finish=distributions,
    ),
    "laboratory.ngram.WittenBell.distribution": Call(
        lambda context: ngram.WittenBell(**COUNTED).distribution(context),
        lambda: {"context": stream(2)},
        {"context": abuse_ids},
        no_context(ngram.WittenBell),
    ),
    "laboratory.ngram.WittenBell.probabilities": Call(
        lambda **a: ngram.WittenBell(**COUNTED).probabilities(**a),
        lambda: {"ids": stream(), "learn": True},
        SCORED,
    ),
    "laboratory.kneser_ney.KneserNey": Call(
        kneser_ney.KneserNey, lambda: dict(COUNTED), COUNTER, finish=distributions
    ),
    "laboratory.kneser_ney.KneserNey.distribution": Call(
        lambda context: kneser_ney.KneserNey(**COUNTED).distribution(context),
        lambda: {"context": stream(2)},
        {"context": abuse_ids},
        no_context(kneser_ney.KneserNey),
    ),
    "laboratory.kneser_ney.KneserNey.probabilities": Call(
        lambda **a: kneser_ney.KneserNey(**COUNTED).probabilities(**a),
        lambda: {"ids": stream(), "learn": True},
        SCORED,
    ),
}


# The table ----------------------------------------------------------------------------


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
    "held_out": ("ids", "patience"),
    "context": ("ids",),
    "model": ("carry_state",),
    "inputs": ("batch_size",),
}


def fault(error, argument):
    """Say what is wrong with an error, None if nothing is."""
    if type(error) not in (ValueError, TypeError):
        return f"raises {type(error).__name__}: {error}"
    if not any(name in str(error) for name in (argument, *CALLED.get(argument, ()))):
        return f"the message does not name the argument: {error}"
    if "; accepted" not in str(error):
        return f"the message does not say what is accepted: {error}"
    deep = [
        frame.name
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(companion.__file__).parent in Path(frame.filename).parents
        and Path(frame.filename).name != "checks.py"
        and not re.match("check_|_(?!_)", frame.name)
    ]
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
    if name in SHARES:
        pytest.skip(SHARES[name])
    call = CALLS[name]
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


HALF = [
    "rnn.RNN.forward",
    "language_model.LanguageModel.forward",
    "measuring.evaluate",
    "training.train_epoch",
    "clipping.clip_grad_norm_",
]


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, "autocast"])
def test_half_precision_is_right_or_refused(name, dtype, monkeypatch):
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
    for made in ("layer", "model"):
        # Drawn in float64 and rounded: half precision would draw other numbers.
        copied = copy.deepcopy(globals()[made]())
        fresh = lambda copied=copied: copy.deepcopy(copied).to(to)  # noqa: E731
        monkeypatch.setitem(globals(), made, fresh)
    arguments = {key: narrow(value) for key, value in call.arguments().items()}
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "autocast"):
        found = tensors(call.finish(call.function(**arguments)))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        error = (one.to(F64) - other).norm() / other.norm()
        assert error < 0.03


# The table is complete ----------------------------------------------------------------


def public(module):
    """List what is public in a module: functions, classes, and their methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value
        if not inspect.isclass(value) or issubclass(value, Exception):
            continue
        for method, inner in vars(value).items():
            shown = not method.startswith("_") or method in ("__len__", "__contains__")
            if shown and (inspect.isfunction(inner) or isinstance(inner, property)):
                yield f"{name}.{method}", inner


def modules():
    """Name the modules of the core and the laboratories; drawings are no entrance."""
    for module in pkgutil.walk_packages(companion.__path__, "companion."):
        name = module.name.removeprefix("companion.")
        if not module.ispkg and not name.startswith(("drawing.", "experiments.")):
            yield name


def entrances():
    for module in modules():
        if module not in NOT_YET and module not in INSIDE:
            loaded = importlib.import_module(f"companion.{module}")
            for name, value in public(loaded):
                if not (inspect.isclass(value) and issubclass(value, Exception)):
                    yield f"{module}.{name}", value


def test_every_public_function_has_its_row_in_the_table():
    listed = CALLS.keys() | NO_ARGUMENT | INSIDE.keys()
    assert {name for name, _ in entrances()} - listed == set()


def test_every_row_and_every_exemption_is_of_something_that_is_there():
    names = dict(entrances()) | dict.fromkeys(modules())
    listed = CALLS.keys() | NO_ARGUMENT | INSIDE.keys() | NOT_YET.keys()
    assert listed - names.keys() == set()


def test_every_argument_has_its_kind():
    found = dict(entrances())
    for name, call in CALLS.items():
        there = set(inspect.signature(found[name]).parameters) - {"self"}
        assert call.kinds.keys() == there, name
