"""Valid values for the table of abuses, small and in float64, and the row of a call.

Everything is made anew at each call of a maker, and the same each time.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab

V, H, F64 = 5, 4, torch.float64
VOCAB = Vocab("abcd")
NAN, INF = math.nan, math.inf
SAME, REFUSED, EITHER = "same", "refused", "same or refused"


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
    #: Why it may return the memory that it was given, if it does.
    shares: str = ""
    #: Whether it is to compute right in half precision and under autocast; REFUSED:
    #: under autocast alone.
    half: bool | str = False


def drawing(function, **fixed):
    """Return a function that draws with a fresh generator unless it is given one."""

    def call(generator=..., **others):
        generator = seeded() if generator is ... else generator
        return function(generator=generator, **fixed, **others)

    return call


_precision = [F64]


@contextlib.contextmanager
def in_precision(dtype):
    """Make what `layer` and `model` return of another dtype inside the block."""
    _precision.append(dtype)
    try:
        yield
    finally:
        _precision.pop()


def as_asked(module):
    """Return a module, drawn in float64, in the dtype that is asked for."""
    return module.to(_precision[-1])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layer(kind=RNN):
    made = kind(V, H, init_std=0.7, generator=seeded(), dtype=F64)
    for bias in list(made.parameters())[2:]:
        nn.init.normal_(bias, generator=seeded(1))
    return as_asked(made)


def model():
    with in_precision(F64):
        made = LanguageModel(layer(), V, init_std=0.7, generator=seeded(2))
    return as_asked(made)


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


def state(parts=1):
    generator = seeded(5)
    draw = (torch.randn(2, H, generator=generator, dtype=F64) for _ in range(parts))
    return tuple(draw)


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


def put(tensor, value):
    """Return a copy of a tensor whose last entry is another."""
    changed = tensor.clone()
    changed.view(-1)[-1] = value
    return changed
