"""What a user hands in: turned into what the library computes with, or refused.

Each function names the argument, its value and what is accepted in a ``ValueError``.
The public functions call them first: a mistake is reported where it was made.
"""

import numbers

import torch
from torch import Tensor, nn

INTEGERS = {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8}
INTEGERS |= {torch.uint16, torch.uint32, torch.uint64}
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
LARGEST = 2**31 - 1  # of a size: no tensor would fit anywhere


def refuse(name: str, value, accepted: str) -> None:
    """Raise the ``ValueError`` that all checks raise, the value cut short."""
    shown = " ".join(repr(value).split())
    if isinstance(value, Tensor):
        shown = f"a tensor {tuple(value.shape)} of {value.dtype}"
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise ValueError(f"{name} is {shown}; accepted: {accepted}")


def check_sizes(*, least: int = 1, **sizes: int) -> None:
    """Refuse what is no integer, below ``least`` or beyond 2**31 - 1, by its name."""
    for name, size in sizes.items():
        whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
        if not (whole and least <= size <= LARGEST):
            refuse(name, size, f"{least} or more, an integer up to {LARGEST}")


def check_number(name: str, value: float, accepted: str, within) -> None:
    """Refuse what is no number, or one for which ``within(value)`` is false."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(name, value, accepted)
    if not within(value):
        raise ValueError(f"{name} is {value}; accepted: {accepted}")


def check_flags(**flags: bool) -> None:
    """Refuse what is neither True nor False: the word "False" would count as true."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            refuse(name, flag, "True or False")


def check_kind(name: str, value, kind: type | tuple, accepted: str) -> None:
    """Refuse what is no instance of ``kind``."""
    if not isinstance(value, kind):
        refuse(name, value, accepted)


def check_generator(generator, device=None) -> None:
    """Refuse what is neither None nor a generator, one of another device if given."""
    check_kind("generator", generator, (torch.Generator, type(None)), "a Generator")
    placed = generator is not None and device is not None
    if placed and generator.device.type != device.type:
        raise ValueError(f"generator is on {generator.device}; accepted: {device}")


def check_place(device=None, dtype: torch.dtype | None = None) -> None:
    """Refuse a device that cannot be used here, and a dtype that is not floating."""
    if device is not None:
        try:
            torch.empty(0, device=device)
        except Exception as error:  # PyTorch raises half a dozen kinds
            known = "a device that this machine and PyTorch have, such as 'cpu'"
            raise ValueError(f"device is {device!r}; accepted: {known}") from error
    if not any(dtype is known for known in (None, *FLOATS)):
        refuse("dtype", dtype, "a floating-point torch.dtype, or None")


def as_tensor(name: str, values, accepted: str) -> Tensor:
    """Return a tensor, a NumPy array or a (nested) list of numbers as a tensor."""
    if isinstance(values, Tensor):
        return values
    listed = isinstance(values, list | tuple | range)
    if not listed and type(values).__name__ != "ndarray":
        refuse(name, values, accepted)
    try:
        made = torch.tensor(list(values) if listed else values)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        refuse(name, values, accepted)
    if listed and _holds_bool(values):
        refuse(name, values, accepted)  # [True, 2] would become [1, 2]
    return made.long() if listed and not made.numel() else made


def _holds_bool(values) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_holds_bool, values))
    return isinstance(values, bool)


def as_ids(ids, *, name: str = "ids", dims: int | None = None) -> Tensor:
    """Return integers as a tensor, in a dtype of their own; refuse anything else."""
    ids = as_tensor(name, ids, "integers, as a tensor, an array or a list")
    fits = dims in (None, ids.dim()) and (dims != 2 or ids.numel())
    if ids.dtype not in INTEGERS or not fits:
        if dims is None:
            raise ValueError(
                f"{name} has dtype {ids.dtype}; accepted: an integer dtype"
            )
        shapes = {1: "a one-dimensional integer tensor", 2: "(N, T), at least (1, 1)"}
        raise ValueError(
            f"{name} has shape {tuple(ids.shape)} and dtype {ids.dtype}; "
            f"accepted: {shapes[dims]}"
        )
    return ids


def check_ids(ids: Tensor, num_classes: int, *, name: str = "ids") -> Tensor:
    """Refuse anything but integers in 0 ... num_classes-1, and return them as int64."""
    ids = as_ids(ids, name=name)
    check_sizes(num_classes=num_classes)
    if ids.is_meta:
        raise ValueError(f"{name} is on the device meta; accepted: ids with values")
    ids = ids.long()  # a smaller dtype could not even hold num_classes
    if ids.numel():
        low, high = torch.stack((ids.min(), ids.max())).tolist()
        if not 0 <= low <= high < num_classes:
            raise ValueError(
                f"{name} run from {low} to {high}; accepted: 0 ... {num_classes - 1}"
            )
    return ids


def check_text(ids, vocab_size: int | None = None, *, least: int = 0) -> Tensor:
    """Return a text, a vector of ids, as int64; the range is left alone without V."""
    ids = as_ids(ids, dims=1)
    ids = ids.long() if vocab_size is None else check_ids(ids, vocab_size)
    if len(ids) < least:
        raise ValueError(f"ids holds {len(ids)} tokens; accepted: {least} or more")
    return ids


def check_model(model: nn.Module, ids: Tensor | None = None) -> None:
    """Refuse what is no module, and ids that are not where its parameters are."""
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    like = next(model.parameters(), None)
    if ids is not None and like is not None and ids.device != like.device:
        raise ValueError(f"ids is on {ids.device}; accepted: {like.device}")


def looks_ahead(model: nn.Module) -> bool:
    """Whether a part of a model reads backward too, and so sees what it predicts."""
    return any(getattr(module, "bidirectional", False) for module in model.modules())
