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
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if size < 1:
                raise ValueError(f"{name} is {size}; accepted: 1 or more")
        self.input_size, self.hidden_size = input_size, hidden_size

        def normal(*shape: int) -> nn.Parameter:
            # Drawn where the generator lives, so a seed means the same on each device.
            source = generator.device if generator is not None else None
            draw = torch.randn(*shape, generator=generator, device=source, dtype=dtype)
            return nn.Parameter((scale * draw).to(device))

        self.W_xh = normal(input_size, hidden_size)
        self.W_hh = normal(hidden_size, hidden_size)
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
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; accepted: 1 or more")
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
            ValueError: If ``inputs`` or ``state`` has another shape. In particular a
                state of one row is not spread over N sequences.
        """
        check_layer_input(inputs, self.input_size)
        batch_size = inputs.shape[1]
        if state is None:
            state = self.begin_state(batch_size)
        (H,) = state
        if H.shape != (batch_size, self.hidden_size):
            raise ValueError(
                f"state has shape {tuple(H.shape)}; accepted: "
                f"({batch_size}, {self.hidden_size}) for inputs {tuple(inputs.shape)}"
            )
        outputs = []
        for X in inputs:  # X: (N, D)
            H = torch.tanh(X @ self.W_xh + H @ self.W_hh + self.b_h)  # (N, H)
            outputs.append(H)
        return torch.stack(outputs), (H,)
