"""The recurrent layer, from scratch."""

import torch
from torch import Tensor, nn


def check_layer_input(inputs: Tensor, input_size: int) -> None:
    """Refuse anything but time-first input of the right width.

    Raises:
        ValueError: If ``inputs`` is not ``(T, N, input_size)`` with T at least 1.
    """
    if inputs.dim() != 3 or inputs.shape[-1] != input_size or len(inputs) == 0:
        raise ValueError(
            f"inputs has shape {tuple(inputs.shape)}; accepted: (T, N, {input_size}) "
            "with T at least 1, time first"
        )


def check_state(
    state: tuple[Tensor, ...], parts: int, inputs: Tensor, hidden_size: int
) -> None:
    """Refuse a state that does not fit the inputs, part by part.

    Raises:
        ValueError: If ``state`` is not a tuple of ``parts`` tensors ``(N, H)``. In
            particular a state of one row is not spread over N sequences.
    """
    if not isinstance(state, tuple) or len(state) != parts:
        found = f"tuple of {len(state)}" if isinstance(state, tuple) else type(state)
        raise ValueError(f"state is a {found}; accepted: tuple of {parts}")
    accepted = (inputs.shape[1], hidden_size)
    for part in state:
        if part.shape != accepted:
            raise ValueError(
                f"state has shape {tuple(part.shape)}; accepted: {accepted} for inputs "
                f"{tuple(inputs.shape)}"
            )


def check_sizes(**sizes: int) -> None:
    """Refuse a size below 1.

    Raises:
        ValueError: If one is; the message has its name.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}; accepted: 1 or more")


def initial_weights(
    *shape: int,
    scale: float,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Parameter:
    """Draw a matrix of normal weights with a standard deviation of ``scale``.

    They are drawn where the generator lives and moved then, so that a seed means the
    same on each device.
    """
    source = generator.device if generator is not None else None
    draw = torch.randn(*shape, generator=generator, device=source, dtype=dtype)
    return nn.Parameter((scale * draw).to(device))


class RNN(nn.Module):
    """A recurrent layer: ``H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h)``.

    Args:
        input_size: D, features of an input (V for one-hot tokens).
        hidden_size: H, hidden units.
        scale: Standard deviation of the initial weights; the bias begins at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Attributes:
        W_xh: Shape ``(D, H)``.
        W_hh: Shape ``(H, H)``.
        b_h: Shape ``(H,)``.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Elman (1990), with the notation of chapter 2.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        scale: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        like = {"generator": generator, "device": device, "dtype": dtype}
        self.W_xh = initial_weights(input_size, hidden_size, scale=scale, **like)
        self.W_hh = initial_weights(hidden_size, hidden_size, scale=scale, **like)
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
            ValueError: If ``batch_size`` is below 1.
        """
        check_sizes(batch_size=batch_size)
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
            ValueError: If ``inputs`` or ``state`` has another shape.
        """
        check_layer_input(inputs, self.input_size)
        if state is None:
            state = self.begin_state(inputs.shape[1])
        check_state(state, 1, inputs, self.hidden_size)
        (h,) = state
        outputs = []
        for X in inputs:  # X: (N, D)
            h = torch.tanh(X @ self.W_xh + h @ self.W_hh + self.b_h)  # (N, H)
            outputs.append(h)
        return torch.stack(outputs), (h,)
