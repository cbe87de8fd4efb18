"""What a user hands in: turned into what the library computes with, or refused.

Each function names the argument, its value and what is accepted in a ``ValueError``.
The public functions call them first: a mistake is reported where it was made.
"""

import numbers
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

INTEGERS = {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8}
INTEGERS |= {torch.uint16, torch.uint32, torch.uint64}
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
LARGEST = 2**31 - 1  # of a size: no tensor would fit anywhere


def refuse(name: str, value, accepted: str) -> None:
    """Raise the ``ValueError`` that all checks raise, the value cut short.

    Example:
        >>> refuse("top_k", 0, "1 ... 28, or None")
        Traceback (most recent call last):
        ValueError: top_k is 0; accepted: 1 ... 28, or None
    """
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
        check_kind(name, flag, bool, "True or False")


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
        shape = "" if dims is None else f"shape {tuple(ids.shape)} and "
        shapes = {1: "a one-dimensional integer tensor", 2: "(N, T), at least (1, 1)"}
        accepted = shapes.get(dims, "an integer dtype")
        raise ValueError(f"{name} has {shape}dtype {ids.dtype}; accepted: {accepted}")
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


def check_reading(model: nn.Module, ids) -> Tensor:
    """Return a text that a model can be measured on: of its vocabulary, beside it."""
    ids = check_text(ids, getattr(model, "vocab_size", None), least=2)
    check_device("ids", ids, next(model.parameters(), None))
    return ids


def check_device(name: str, tensor: Tensor, like: Tensor | None) -> None:
    """Refuse a tensor that is not where another one is, if there is one."""
    if like is not None and tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}; accepted: {like.device}")


def check_like(name: str, tensor: Tensor, like: Tensor) -> None:
    """Refuse a tensor of another dtype or device; autocast lets dtypes differ."""
    kind = like.device.type
    cast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    fits = tensor.dtype == like.dtype or (cast and tensor.is_floating_point())
    if tensor.device != like.device or not fits:
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, on {tensor.device}; accepted: "
            f"{like.dtype}, on {like.device}, like the parameters"
        )


def check_layer_input(
    inputs: Tensor, input_size: int, like: Tensor | None = None
) -> None:
    """Refuse anything but ``(T, N, input_size)``, in dtype and place of a parameter."""
    check_kind("inputs", inputs, Tensor, f"a tensor (T, N, {input_size}), time first")
    if inputs.dim() != 3 or inputs.shape[-1] != input_size or len(inputs) == 0:
        raise ValueError(
            f"inputs has shape {tuple(inputs.shape)}; accepted: (T, N, {input_size}) "
            "with T at least 1, time first"
        )
    if like is not None:
        check_like("inputs", inputs, like)


def check_state(state, first: Tensor | tuple[Tensor, ...], inputs: Tensor) -> None:
    """Refuse a state unlike the first one that a layer would begin these inputs with.

    Part by part: in particular a state of one row is not spread over N sequences.
    """
    if isinstance(first, Tensor):
        state, first = (state,), (first,)
    if not isinstance(state, tuple) or len(state) != len(first):
        found = f"tuple of {len(state)}" if isinstance(state, tuple) else type(state)
        raise ValueError(f"state is a {found}; accepted: tuple of {len(first)}")
    for part, like in zip(state, first, strict=True):
        accepted = tuple(like.shape)
        check_kind("a part of state", part, Tensor, f"a tensor {accepted}")
        if part.shape != accepted:
            raise ValueError(
                f"state has shape {tuple(part.shape)}; accepted: {accepted} for inputs "
                f"{tuple(inputs.shape)}"
            )
        check_like("state", part, like)


def check_optimiser(optimiser: Optimizer, model: nn.Module) -> None:
    """Refuse an optimiser that owns no parameter of the model: it would not learn."""
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    check_kind("optimiser", optimiser, Optimizer, "a torch.optim.Optimizer")
    owned = {id(p) for group in optimiser.param_groups for p in group["params"]}
    if not owned.intersection(map(id, model.parameters())):
        raise ValueError(
            "optimiser owns no parameter of the model; accepted: one made for it"
        )


def looks_ahead(model: nn.Module) -> bool:
    """Whether a part of a model reads backward too, and so sees what it predicts."""
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    return any(getattr(module, "bidirectional", False) for module in model.modules())


def as_list(name: str, values, accepted: str) -> list:
    """Return several values as a list; refuse a string, a mapping and a single one."""
    if isinstance(values, str | bytes | Mapping):
        refuse(name, values, accepted)
    try:
        return list(values)
    except TypeError:
        refuse(name, values, accepted)


def as_strings(name: str, values) -> list[str]:
    """Return several strings as a list; a single one would be taken apart."""
    strings = as_list(name, values, "several strings, say in a list")
    for string in strings:
        check_kind(f"an entry of {name}", string, str, "a string")
    return strings
