"""The recurrent layer, from scratch, and what it shares with the gated ones."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from companion.support import checks


def initial_weights(
    *shape: int,
    init_std: float,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Parameter:
    """Draw normal weights with a standard deviation of ``init_std``.

    They are drawn where the generator lives and moved then, so that a seed means the
    same on each device.

    Raises:
        ValueError: If a size is below 1, ``init_std`` below 0 or not finite, ``device``
            none that can be used, or ``dtype`` not floating-point.

    Example:
        >>> initial_weights(3, 2, init_std=0.01).shape
        torch.Size([3, 2])
    """
    for size in shape:
        checks.sizes(shape=size)
    accepted = "a number from 0 up"
    checks.number("init_std", init_std, accepted, lambda s: 0 <= s < math.inf)
    checks.generator(generator)
    checks.place(device, dtype)
    source = generator.device if generator is not None else None
    draw = torch.randn(*shape, generator=generator, device=source, dtype=dtype)
    return nn.Parameter((init_std * draw).to(device))


class RecurrentLayer(nn.Module):
    """A layer that reads step after step. Each kind adds its parameters and its step.

    Args:
        input_size: D, features of an input (V for one-hot tokens).
        hidden_size: H, hidden units.
        init_std: Standard deviation of the initial weights; biases begin at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Raises:
        ValueError: If a size is below 1, and as :func:`initial_weights`.
    """

    parts = 1  # tensors of a state

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
        checks.sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        like = {"device": device, "dtype": dtype}
        draws = {"init_std": init_std, "generator": generator}
        normal = partial(initial_weights, **draws, **like)
        zeros = lambda size: nn.Parameter(torch.zeros(size, **like))  # noqa: E731
        self._build(input_size, hidden_size, normal, zeros)

    def begin_state(
        self, batch_size: int, device: torch.device | str | None = None
    ) -> tuple[Tensor, ...]:
        """Return the state before the first token: zeros.

        Args:
            batch_size: N, sequences that are read side by side.
            device: Where the state lives; by default beside the parameters.

        Returns:
            A tuple of the hidden state, ``(N, H)``, and with the LSTM the cell, alike.

        Raises:
            ValueError: If ``batch_size`` is no integer from 1 up, ``device`` no device.
        """
        checks.sizes(batch_size=batch_size)
        checks.place(device)
        like, shape = next(self.parameters()), (batch_size, self.hidden_size)
        return tuple(like.new_zeros(shape, device=device) for _ in range(self.parts))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Shape ``(T, N, D)``, time first, in the dtype of the parameters.
            state: What an earlier call returned; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one, as :meth:`begin_state` describes it.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape, dtype or device.
        """
        checks.layer_input(inputs, self.input_size, next(self.parameters()))
        first = self.begin_state(inputs.shape[1])
        if state is not None:
            checks.state(state, first, inputs)
        state = first if state is None else state
        outputs = []
        for X in inputs:  # X: (N, D)
            state = self._step(X, *state)
            outputs.append(state[0])
        return torch.stack(outputs), state


class RNN(RecurrentLayer):
    """A recurrent layer: ``H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h)``.

    Arguments and errors are those of :class:`RecurrentLayer`.

    Attributes:
        W_xh: Shape ``(D, H)``.
        W_hh: Shape ``(H, H)``.
        b_h: Shape ``(H,)``.

    Source:
        Elman (1990), with the notation of chapter 2.

    Example:
        >>> outputs, (h,) = RNN(28, 16)(torch.zeros(35, 2, 28))
        >>> outputs.shape, h.shape
        (torch.Size([35, 2, 16]), torch.Size([2, 16]))
    """

    def _build(self, D, H, normal, zeros):
        self.W_xh, self.W_hh, self.b_h = normal(D, H), normal(H, H), zeros(H)

    def _step(self, X: Tensor, h: Tensor) -> tuple[Tensor]:
        return (torch.tanh(X @ self.W_xh + h @ self.W_hh + self.b_h),)  # (N, H)
