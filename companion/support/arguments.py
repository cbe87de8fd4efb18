"""Arguments that belong together: held against each other, or refused."""

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from companion.support import checks


def axes(given: dict[str, Tensor], named: dict[str, str], integer: str) -> None:
    """Refuse tensors whose sizes, dtypes or devices do not fit each other.

    Args:
        given: Name to tensor.
        named: Name to axes, a letter each; equal letters stand for equal sizes.
        integer: The one that holds integers. The others share a floating dtype.
    """
    sizes, devices = {}, {tensor.device for tensor in given.values()}
    dtypes = {given[name].dtype for name in named if name != integer}
    fits = len(devices) == len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
    for name, tensor in given.items():
        fits = fits and tensor.dim() == len(named[name]) and tensor.numel() > 0
        for axis, size in zip(named[name], tensor.shape, strict=False):
            fits = fits and sizes.setdefault(axis, size) == size
    if not fits:
        found = (f"{n} {tuple(t.shape)} {t.dtype} {t.device}" for n, t in given.items())
        wanted = (f"{name} ({', '.join(letters)})" for name, letters in named.items())
        raise ValueError(
            f"{', '.join(found)}; accepted: {', '.join(wanted)}, none empty, all "
            f"float32 or all float64 ({integer}: integers), on one device"
        )


def choice(
    size: int, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> None:
    """Refuse settings by which none of ``size`` tokens could be chosen."""
    accepted = "a number from 0 up"
    checks.number("temperature", temperature, accepted, lambda t: 0 <= t < math.inf)
    if top_k is not None:
        whole = isinstance(top_k, Integral) and not isinstance(top_k, bool)
        if not whole or not 1 <= top_k <= size:
            checks.refuse("top_k", top_k, f"1 ... {size}, or None")
    checks.generator(generator)


def layer(given: nn.Module, vocab_size: int) -> Tensor:
    """Refuse a layer that cannot read one-hot tokens; return one of its parameters."""
    checks.kind("layer", given, nn.Module, "a recurrent torch.nn.Module")
    like = next(given.parameters(), None)
    if like is None or not hasattr(given, "hidden_size"):
        checks.refuse("layer", given, "a layer with parameters and hidden_size")
    wanted = {"input_size": vocab_size, "proj_size": 0, "batch_first": False}
    for name, accepted in wanted.items():  # batch first: it would read rows as time
        if (value := getattr(given, name, accepted)) != accepted:
            raise ValueError(f"layer.{name} is {value}; accepted: {accepted}")
    return like


def minibatch(pair: tuple[Tensor, Tensor], model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return X and Y; refuse what is no pair of ids of one shape."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        checks.refuse("a minibatch", pair, "a pair X, Y")
    X, Y = pair
    X, Y = checks.as_ids(X, name="X", dims=2), checks.as_ids(Y, name="Y", dims=2)
    if X.shape != Y.shape:
        raise ValueError(f"Y has shape {tuple(Y.shape)}; accepted: {tuple(X.shape)}")
    checks.device("X", X, next(model.parameters(), None))
    vocab_size = getattr(model, "vocab_size", None)
    return (X if vocab_size is None else checks.ids(X, vocab_size, name="X")), Y


def padded(ids: Tensor, lengths: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return padded ids, zero after each end, and lengths, on the CPU, both int64."""
    ids = checks.as_ids(ids)
    lengths = checks.ids(lengths, checks.LARGEST, name="lengths").cpu()
    if ids.dim() != 2 or not ids.numel() or lengths.shape != ids.shape[1:]:
        raise ValueError(
            f"ids has shape {tuple(ids.shape)}, lengths {tuple(lengths.shape)}; "
            "accepted: (T, N) and (N,), neither of them 0"
        )
    low, high = lengths.min().item(), lengths.max().item()
    if not 1 <= low <= high <= len(ids):
        raise ValueError(
            f"lengths run from {low} to {high}; accepted: 1 ... {len(ids)}"
        )
    place = torch.arange(len(ids), device=ids.device)[:, None]
    inside = place < lengths.to(ids.device)  # (T, N)
    return checks.ids(ids.where(inside, 0), num_classes), lengths


def sequences(given: Sequence[Tensor], num_classes: int) -> list[Tensor]:
    """Return the ids of several sequences, int64 and copied, or refuse them."""
    columns = [
        checks.as_ids(ids, name="an entry of sequences", dims=1).long()
        for ids in checks.as_list(
            "sequences", given, "the ids of each, (n,), in a list"
        )
    ]
    lengths = [len(column) for column in columns]
    if not all(lengths) or not lengths:
        raise ValueError(
            f"sequences have lengths {lengths[:10]}; accepted: 1 or more, of at least "
            "one sequence"
        )
    if any(column.device != columns[0].device for column in columns):
        raise ValueError("sequences are on several devices; accepted: one")
    joined = checks.ids(torch.cat(columns), num_classes, name="sequences")
    return list(joined.split(lengths))


def training(
    model: nn.Module, optimiser: Optimizer, carry_state: bool, max_norm: float
) -> None:
    """Refuse what a model could not be trained with."""
    checks.optimiser(optimiser, model)
    checks.flags(carry_state=carry_state)
    if carry_state and checks.looks_ahead(model):
        raise ValueError(
            "carry_state is True; accepted for a bidirectional model: False (its way "
            "back begins at the end of each minibatch)"
        )
    checks.above_zero(max_norm=max_norm)


def vocab_size(given: int, own: int) -> None:
    """Refuse a vocabulary of another size than the model's own."""
    if given != own:
        raise ValueError(f"vocab has {given} tokens; accepted: {own}, as the model has")
