"""The recurrent layer, from scratch."""

import math

import torch
from torch import Tensor, nn

from companion.checks import (
    check_generator,
    check_kind,
    check_number,
    check_place,
    check_sizes,
)


def check_layer_input(
    inputs: Tensor, input_size: int, like: Tensor | None = None
) -> None:
    """Refuse anything but time-first input of the right width.

    Args:
        inputs: What a layer was given.
        input_size: D.
        like: A parameter of the layer, whose dtype and device the inputs must have;
            None leaves them unchecked. Under autocast dtypes may differ.

    Raises:
        ValueError: If ``inputs`` is not ``(T, N, input_size)`` with T at least 1.
    """
    check_kind("inputs", inputs, Tensor, f"a tensor (T, N, {input_size}), time first")
    if inputs.dim() != 3 or inputs.shape[-1] != input_size or len(inputs) == 0:
        raise ValueError(
            f"inputs has shape {tuple(inputs.shape)}; accepted: (T, N, {input_size}) "
            "with T at least 1, time first"
        )
    if like is not None:
        check_like("inputs", inputs, like)


def check_like(name: str, tensor: Tensor, like: Tensor) -> None:
    """Refuse a tensor of another dtype than a parameter, or on another device.

    Raises:
        ValueError: If it is. Under autocast any floating-point dtype is accepted.
    """
    fits = tensor.dtype == like.dtype or (
        tensor.is_floating_point() and torch.is_autocast_enabled(like.device.type)
    )
    if tensor.device != like.device or not fits:
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, on {tensor.device}; accepted: "
            f"{like.dtype}, on {like.device}, like the parameters"
        )


def check_state(
    state: tuple[Tensor, ...],
    parts: int,
    inputs: Tensor,
    hidden_size: int,
    like: Tensor | None = None,
) -> None:
    """Refuse a state that does not fit the inputs, part by part.

    Args:
        state: What a layer was given.
        parts: How many tensors it has.
        inputs: The inputs beside it, ``(T, N, D)``.
        hidden_size: H.
        like: As for :func:`check_layer_input`.

    Raises:
        ValueError: If ``state`` is not a tuple of ``parts`` tensors ``(N, H)``. In
            particular a state of one row is not spread over N sequences.
    """
    if not isinstance(state, tuple) or len(state) != parts:
        found = f"tuple of {len(state)}" if isinstance(state, tuple) else type(state)
        raise ValueError(f"state is a {found}; accepted: tuple of {parts}")
    accepted = (inputs.shape[1], hidden_size)
    for part in state:
        check_kind("a part of state", part, Tensor, f"a tensor {accepted}")
        if part.shape != accepted:
            raise ValueError(
                f"state has shape {tuple(part.shape)}; accepted: {accepted} for inputs "
                f"{tuple(inputs.shape)}"
            )
        if like is not None:
            check_like("state", part, like)


def initial_weights(
    *shape: int,
    init_std: float,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Parameter:
    """Draw a matrix of normal weights with a standard deviation of ``init_std``.

    They are drawn where the generator lives and moved then, so that a seed means the
    same on each device.

    Raises:
        ValueError: If a size is not an integer from 1 up, ``init_std`` no number from 0
            up, ``generator`` no generator, ``device`` none that can be used, or
            ``dtype`` not floating-point.
    """
    for size in shape:
        check_sizes(shape=size)
    check_number(
        "init_std", init_std, "a number from 0 up", lambda s: 0 <= s < math.inf
    )
    check_generator(generator)
    check_place(device, dtype)
    source = generator.device if generator is not None else None
    draw = torch.randn(*shape, generator=generator, device=source, dtype=dtype)
    return nn.Parameter((init_std * draw).to(device))


class RNN(nn.Module):
    """A recurrent layer: ``H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h)``.

    Args:
        input_size: D, features of an input (V for one-hot tokens).
        hidden_size: H, hidden units.
        init_std: Standard deviation of the initial weights; the bias begins at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Attributes:
        W_xh: Shape ``(D, H)``.
        W_hh: Shape ``(H, H)``.
        b_h: Shape ``(H,)``.

    Raises:
        ValueError: If a size is not an integer from 1 up, and as
            :func:`initial_weights`.

    Source:
        Elman (1990), with the notation of chapter 2.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        init_std: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        like = {"generator": generator, "device": device, "dtype": dtype}
        self.W_xh = initial_weights(input_size, hidden_size, init_std=init_std, **like)
        self.W_hh = initial_weights(hidden_size, hidden_size, init_std=init_std, **like)
        self.b_h = nn.Parameter(torch.zeros(hidden_size, device=device, dtype=dtype))

    def begin_state(
        self, batch_size: int, device: torch.device | str | None = None
    ) -> tuple[Tensor]:
        """Return the state before the first token: zeros.

        Args:
            batch_size: N, sequences that are read side by side.
            device: Where the state lives; by default beside the parameters.

        Returns:
            A tuple of one tensor, ``(N, H)``: a tuple, so that a layer with two
            tensors of state (the LSTM) can be used by the same code.

        Raises:
            ValueError: If ``batch_size`` is not an integer from 1 up, or ``device``
                cannot be used.
        """
        check_sizes(batch_size=batch_size)
        check_place(device)
        return (self.b_h.new_zeros(batch_size, self.hidden_size, device=device),)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Shape ``(T, N, D)``, time first, in the dtype of the parameters.
            state: What an earlier call returned, ``((N, H),)``; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one, ``((N, H),)``.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape or dtype, or lies
                on another device.
        """
        check_layer_input(inputs, self.input_size, self.W_xh)
        if state is None:
            state = self.begin_state(inputs.shape[1])
        check_state(state, 1, inputs, self.hidden_size, self.W_xh)
        (h,) = state
        outputs = []
        for X in inputs:  # X: (N, D)
            h = torch.tanh(X @ self.W_xh + h @ self.W_hh + self.b_h)  # (N, H)
            outputs.append(h)
        return torch.stack(outputs), (h,)
