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


def kind(name: str, value, of: type | tuple, accepted: str) -> None:
    """Refuse what is no instance of a type."""
    if not isinstance(value, of):
        refuse(name, value, accepted)


def sizes(*, least: int = 1, **named: int) -> None:
    """Refuse what is no integer, below ``least`` or beyond 2**31 - 1, by its name."""
    for name, size in named.items():
        whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
        if not (whole and least <= size <= LARGEST):
            refuse(name, size, f"{least} or more, an integer up to {LARGEST}")


def number(name: str, value: float, accepted: str, within) -> None:
    """Refuse what is no number, or one for which ``within(value)`` is false."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(name, value, accepted)
    if not within(value):
        raise ValueError(f"{name} is {value}; accepted: {accepted}")


def above_zero(**named: float) -> None:
    """Refuse what is no number above zero, by its name; infinity is one."""
    for name, value in named.items():
        number(name, value, "a number above 0", lambda value: value > 0)


def dropout(**named: float) -> None:
    """Refuse what is no probability, or 1, by its name."""
    for name, p in named.items():
        number(name, p, "0 up to, not including, 1", lambda p: 0 <= p < 1)


def flags(**named: bool) -> None:
    """Refuse what is neither True nor False: the word "False" would count as true."""
    for name, flag in named.items():
        kind(name, flag, bool, "True or False")


def model(given: nn.Module) -> None:
    """Refuse a model that is no module."""
    kind("model", given, nn.Module, "a torch.nn.Module")


def generator(given: torch.Generator | None, device=None) -> None:
    """Refuse what is neither None nor a generator, one of another device if given."""
    kind("generator", given, (torch.Generator, type(None)), "a Generator")
    if given is not None and device is not None and given.device.type != device.type:
        raise ValueError(f"generator is on {given.device}; accepted: {device}")


def place(device=None, dtype: torch.dtype | None = None) -> None:
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
        made = torch.tensor(values)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        refuse(name, values, accepted)
    if listed and _holds_bool(values):
        refuse(name, values, accepted)  # [True, 2] would become [1, 2]
    return made.long() if listed and not made.numel() else made


def _holds_bool(values) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_holds_bool, values))
    return isinstance(values, bool)


def as_ids(values, *, name: str = "ids", dims: int | None = None) -> Tensor:
    """Return integers as a tensor, in a dtype of their own; refuse anything else."""
    ids = as_tensor(name, values, "integers, as a tensor, an array or a list")
    fits = dims in (None, ids.dim()) and (dims != 2 or ids.numel())
    if ids.dtype not in INTEGERS or not fits:
        shape = "" if dims is None else f"shape {tuple(ids.shape)} and "
        shapes = {1: "a one-dimensional integer tensor", 2: "(N, T), at least (1, 1)"}
        accepted = shapes.get(dims, "an integer dtype")
        raise ValueError(f"{name} has {shape}dtype {ids.dtype}; accepted: {accepted}")
    return ids


def ids(values, num_classes: int, *, name: str = "ids", dims=None) -> Tensor:
    """Refuse anything but integers in 0 ... num_classes-1, and return them as int64."""
    values = as_ids(values, name=name, dims=dims)
    sizes(num_classes=num_classes)
    if values.is_meta:
        raise ValueError(f"{name} is on the device meta; accepted: ids with values")
    values = values.long()  # a smaller dtype could not even hold num_classes
    if values.numel():
        low, high = torch.stack((values.min(), values.max())).tolist()
        if not 0 <= low <= high < num_classes:
            raise ValueError(
                f"{name} run from {low} to {high}; accepted: 0 ... {num_classes - 1}"
            )
    return values


def reading(reader: nn.Module, text) -> Tensor:
    """Return a text that a model can be measured on: of its vocabulary, beside it."""
    text, vocab_size = as_ids(text, dims=1), getattr(reader, "vocab_size", None)
    text = text.long() if vocab_size is None else ids(text, vocab_size)
    if len(text) < 2:
        raise ValueError(f"ids holds {len(text)} tokens; accepted: 2 or more")
    device("ids", text, next(reader.parameters(), None))
    return text


def device(name: str, tensor: Tensor, like: Tensor | None) -> None:
    """Refuse a tensor that is not where another one is, if there is one."""
    if like is not None and tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}; accepted: {like.device}")


def autocasts(tensor: Tensor) -> bool:
    """Whether autocast is on where a tensor lives."""
    where = tensor.device.type
    return torch.amp.is_autocast_available(where) and torch.is_autocast_enabled(where)


def like(name: str, tensor: Tensor, parameter: Tensor) -> None:
    """Refuse a tensor of another dtype or device; autocast lets dtypes differ."""
    cast = autocasts(parameter) and tensor.is_floating_point()
    fits = cast or tensor.dtype == parameter.dtype
    if tensor.device != parameter.device or not fits:
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, on {tensor.device}; accepted: "
            f"{parameter.dtype}, on {parameter.device}, like the parameters"
        )


def layer_input(inputs: Tensor, input_size: int, parameter: Tensor) -> None:
    """Refuse anything but ``(T, N, input_size)``, in dtype and place of a parameter."""
    kind("inputs", inputs, Tensor, f"a tensor (T, N, {input_size}), time first")
    if inputs.dim() != 3 or inputs.shape[-1] != input_size or len(inputs) == 0:
        raise ValueError(
            f"inputs has shape {tuple(inputs.shape)}; accepted: (T, N, {input_size}) "
            "with T at least 1, time first"
        )
    like("inputs", inputs, parameter)


def state(given, first: Tensor | tuple[Tensor, ...], inputs: Tensor) -> None:
    """Refuse a state unlike the first one that a layer would begin these inputs with.

    Part by part: in particular a state of one row is not spread over N sequences.
    """
    if isinstance(first, Tensor):
        given, first = (given,), (first,)
    if not isinstance(given, tuple) or len(given) != len(first):
        found = f"tuple of {len(given)}" if isinstance(given, tuple) else type(given)
        raise ValueError(f"state is a {found}; accepted: tuple of {len(first)}")
    for part, zero in zip(given, first, strict=True):
        accepted = tuple(zero.shape)
        kind("a part of state", part, Tensor, f"a tensor {accepted}")
        if part.shape != accepted:
            raise ValueError(
                f"state has shape {tuple(part.shape)}; accepted: {accepted} for inputs "
                f"{tuple(inputs.shape)}"
            )
        like("state", part, zero)


def optimiser(given: Optimizer, learner: nn.Module) -> None:
    """Refuse an optimiser that owns no parameter of the model: it would not learn."""
    model(learner)
    kind("optimiser", given, Optimizer, "a torch.optim.Optimizer")
    owned = {id(p) for group in given.param_groups for p in group["params"]}
    if not owned.intersection(map(id, learner.parameters())):
        raise ValueError(
            "optimiser owns no parameter of the model; accepted: one made for it"
        )


def looks_ahead(reader: nn.Module) -> bool:
    """Whether a part of a model reads backward too, and so sees what it predicts."""
    model(reader)
    return any(getattr(module, "bidirectional", False) for module in reader.modules())


def as_list(name: str, values, accepted: str) -> list:
    """Return several values as a list; refuse a string, a mapping and a single one."""
    if isinstance(values, str | bytes | Mapping):
        refuse(name, values, accepted)
    try:
        values = iter(values)
    except TypeError:
        refuse(name, values, accepted)
    return list(values)


def as_strings(
    name: str, values, accepted: str = "several strings, say in a list"
) -> list[str]:
    """Return several strings as a list; a single one would be taken apart."""
    strings = as_list(name, values, accepted)
    for string in strings:
        kind(f"an entry of {name}", string, str, "a string")
    return strings
