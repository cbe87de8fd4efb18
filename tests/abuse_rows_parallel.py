"""The table of abuses: rows of laboratory B, and of those that read names."""

import torch
from torch import nn

from companion.classifier import NameClassifier
from companion.laboratory import adding, classic, parallel, prefixes
from tests.abuse_kinds import (
    abuse_device,
    abuse_dtype,
    abuse_generator,
    abuse_ids,
    abuse_number,
    abuse_size,
)
from tests.abuse_kinds_models import abuse_inputs, abuse_model, abuse_optimiser
from tests.abuse_kinds_names import abuse_alphabet, abuse_minibatches
from tests.abuse_values import F64, NAN, REFUSED, SAME, Call, drawing, pieces, seeded
from tests.abuse_values_names import K, both, padded, plain
from tests.processes import alone

NOT_YET = {}
NO_ARGUMENT = set()
INSIDE = {
    "laboratory.name_training.check_minibatch": "a check",
    "laboratory.parallel.main": "a command",
    "laboratory.prefixes.PrefixTree": "a record",
}

READ = {"ids": abuse_alphabet, "lengths": abuse_ids}
D, H = 5, 4


def drawn(kind, *sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*sizes).double()


def rnn():
    return drawn(classic.ClassicRNN, D, H, K)


def gru():
    return drawn(classic.ClassicGRU, D, H, K, 2)


def name(n=3):
    return torch.randn(n, 1, D, generator=seeded(4), dtype=F64)


def first():
    return torch.randn(1, H, generator=seeded(5), dtype=F64)


def abuse_name(x):
    yield from abuse_inputs(x)
    yield "two names", x.expand(-1, 2, -1), REFUSED


def abuse_row(h):
    for n, wrong in {
        "no row": h[0],
        "two rows": h.expand(2, -1),
        "width": h[:, 1:],
        "float32": h.float(),
        "half precision": h.half(),
        "integers": h.long(),
        "bool": h.bool(),
        "device": h.to("meta"),
        "NumPy": h.numpy(),
        "list": h.tolist(),
        "tuple": (h,),
        "string": "state",
    }.items():
        yield n, wrong, REFUSED


def abuse_classifier(_):
    yield from abuse_model(_)
    yield "joint", both(), REFUSED
    yield "LSTM", NameClassifier(nn.LSTM(59, 4), K), REFUSED
    yield "no bias", NameClassifier(nn.GRU(59, 4, bias=False), K), REFUSED
    yield "dropout", NameClassifier(nn.GRU(59, 4, 2, dropout=0.5), K), REFUSED
    deep = nn.GRU(59, 4, 2, bidirectional=True)
    yield "two layers both ways", NameClassifier(deep, K), REFUSED


def abuse_examples(examples):
    (x, label), *rest = examples
    yield "tuple", tuple(examples), SAME
    yield "iterator", iter(examples), SAME
    yield "tensor label", [(x, torch.tensor(label)), *rest], SAME
    for n, wrong in {
        "label beyond": (x, K),
        "negative label": (x, -1),
        "ignored by PyTorch": (x, -100),
        "float label": (x, 1.0),
        "bool label": (x, True),
        "NaN label": (x, NAN),
        "huge label": (x, 2**70),
        "no label": (x,),
        "two labels": (x, [1, 1]),
        "NumPy": (x.numpy(), label),
        "width": (x[..., 1:], label),
        "float32": (x.float(), label),
        "empty": (x[:0], label),
        "None": None,
        "string": "ab",
    }.items():
        yield n, [wrong, *rest], REFUSED
    for wrong in ([], None, 5, "ab", {1: 2}):
        yield repr(wrong), wrong, REFUSED


def taught(model, optimiser=..., generator=..., **others):
    if optimiser is ...:
        owner = model if isinstance(model, nn.Module) else rnn()
        optimiser = torch.optim.SGD(owner.parameters(), lr=0.1)
    generator = seeded() if generator is ... else generator
    found = classic.train_one_at_a_time(
        model, optimiser=optimiser, generator=generator, **others
    )
    return found, pieces(model)


def abuse_minibatch(given):
    for n, wrong, expected in abuse_minibatches([given]):
        if isinstance(wrong, list) and len(wrong) == 1:
            yield n, wrong[0], expected
    for wrong in (None, 5, "abe", given[:2], {}):
        yield repr(wrong)[:9], wrong, REFUSED


def abuse_rank(rank):
    yield from abuse_size(rank)
    yield "beyond", 2, REFUSED


def of_rank_0(arguments):
    return parallel.local_loss(**arguments | {"rank": 0})


def in_one(**arguments):
    with alone():
        return parallel.train(**arguments)


def shapes(kind, *sizes):
    return [tuple(p.shape) for p in drawn(kind, *sizes).parameters()]


SIZED = {"input_size": D, "hidden_size": H, "num_classes": K}
SIZES = dict.fromkeys(SIZED, abuse_size)
TRAINED = {"epochs": 2, "batch_size": 32, "hidden_size": 4}


CALLS = {
    "laboratory.adding.adding_batch": Call(
        drawing(adding.adding_batch),
        lambda: {"batch_size": 2, "num_steps": 4, "device": "cpu", "dtype": F64},
        {
            "batch_size": abuse_size,
            "num_steps": abuse_size,
            "generator": abuse_generator,
            "device": abuse_device,
            "dtype": abuse_dtype,
        },
    ),
    "laboratory.prefixes.prefix_tree": Call(prefixes.prefix_tree, padded, READ),
    "laboratory.prefixes.PrefixGRU": Call(
        prefixes.PrefixGRU,
        lambda: {"model": plain()},
        {"model": abuse_classifier},
        finish=lambda read: read(**padded()).detach(),
    ),
    "laboratory.prefixes.PrefixGRU.forward": Call(
        lambda **a: prefixes.PrefixGRU(plain())(**a), padded, READ, half=True
    ),
    "laboratory.classic.ClassicRNN": Call(
        lambda **a: shapes(classic.ClassicRNN, *a.values()), lambda: SIZED.copy(), SIZES
    ),
    "laboratory.classic.ClassicRNN.begin_state": Call(
        lambda generator=...: rnn().begin_state(
            seeded() if generator is ... else generator
        ),
        dict,
        {"generator": abuse_generator},
    ),
    "laboratory.classic.ClassicRNN.forward": Call(
        lambda **a: rnn()(**a),
        lambda: {"x": name(), "state": first()},
        {"x": abuse_name, "state": abuse_row},
    ),
    "laboratory.classic.ClassicGRU": Call(
        lambda **a: shapes(classic.ClassicGRU, *a.values()),
        lambda: {**SIZED, "num_layers": 2},
        {**SIZES, "num_layers": abuse_size},
    ),
    "laboratory.classic.ClassicGRU.forward": Call(
        lambda **a: gru()(**a), lambda: {"x": name()}, {"x": abuse_name}
    ),
    "laboratory.classic.train_one_at_a_time": Call(
        taught,
        lambda: {
            "model": gru(),
            "examples": [(name(), 2), (name(2), 0)],
            "max_norm": 1e6,
        },
        {
            "model": abuse_model,
            "examples": abuse_examples,
            "optimiser": abuse_optimiser,
            "max_norm": abuse_number,
            "generator": abuse_generator,
        },
        {("max_norm", n): SAME for n in ("huge", "infinite")},
        writes=frozenset({"model"}),
    ),
    "laboratory.parallel.local_loss": Call(
        parallel.local_loss,
        lambda: {
            "model": plain(),
            "minibatch": (*padded().values(), torch.tensor([0, 2])),
            "rank": 1,
            "world": 2,
        },
        {
            "model": abuse_model,
            "minibatch": abuse_minibatch,
            "rank": abuse_rank,
            "world": abuse_size,
        },
        {("rank", "zero"): of_rank_0},
        half=True,
    ),
    "laboratory.parallel.train": Call(
        in_one, lambda: dict(TRAINED), dict.fromkeys(TRAINED, abuse_size)
    ),
}
