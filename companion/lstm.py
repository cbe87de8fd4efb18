"""The gated layers, from scratch: LSTM and GRU."""

import torch
from torch import Tensor, nn

from companion.rnn import check_layer_input, check_sizes, check_state, initial_weights


class LSTM(nn.Module):
    """A long short-term memory layer.

    With the gates ``I, F, O = sigmoid(...)`` and the candidate ``tanh(...)``, each
    of ``X_t W_x* + H_{t-1} W_h* + b_*``::

        C_t = F_t * C_{t-1} + I_t * candidate_t
        H_t = O_t * tanh(C_t)

    The four matrices of each kind stand side by side in one, in PyTorch's order (i, f,
    c for the candidate, which PyTorch calls g, and o), so that a step takes one product
    and not four.

    Args:
        input_size: D, features of an input (V for one-hot tokens).
        hidden_size: H, hidden units.
        init_std: Standard deviation of the initial weights.
        forget_bias: First value of the forget gate's bias; the other biases begin at
            zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Attributes:
        W_x: ``(W_xi, W_xf, W_xc, W_xo)``, shape ``(D, 4H)``.
        W_h: ``(W_hi, W_hf, W_hc, W_ho)``, shape ``(H, 4H)``.
        b: ``(b_i, b_f, b_c, b_o)``, shape ``(4H,)``.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000),
        without peepholes; the equations of chapter 6.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        init_std: float = 0.01,
        forget_bias: float = 0.0,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        like = {"generator": generator, "device": device, "dtype": dtype}
        self.W_x = initial_weights(
            input_size, 4 * hidden_size, init_std=init_std, **like
        )
        self.W_h = initial_weights(
            hidden_size, 4 * hidden_size, init_std=init_std, **like
        )
        self.b = nn.Parameter(torch.zeros(4 * hidden_size, device=device, dtype=dtype))
        with torch.no_grad():
            self.b[hidden_size : 2 * hidden_size] = forget_bias

    def begin_state(
        self, batch_size: int, device: torch.device | str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the state before the first token: zeros.

        Args:
            batch_size: N, sequences that are read side by side.
            device: Where the state lives; by default beside the parameters.

        Returns:
            The hidden state and the cell, ``(N, H)`` each.

        Raises:
            ValueError: If ``batch_size`` is below 1.
        """
        check_sizes(batch_size=batch_size)
        H = self.b.new_zeros(batch_size, self.hidden_size, device=device)
        return H, H.clone()

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Shape ``(T, N, D)``, time first, in the dtype of the parameters.
            state: What an earlier call returned, ``((N, H), (N, H))``: hidden state and
                cell; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape.
        """
        check_layer_input(inputs, self.input_size)
        if state is None:
            state = self.begin_state(inputs.shape[1])
        check_state(state, 2, inputs, self.hidden_size)
        H, C = state
        outputs = []
        for X in inputs:  # X: (N, D)
            gates = X @ self.W_x + H @ self.W_h + self.b  # (N, 4H)
            i, f, candidate, o = gates.chunk(4, dim=1)  # (N, H) each
            C = torch.sigmoid(f) * C + torch.sigmoid(i) * torch.tanh(candidate)
            H = torch.sigmoid(o) * torch.tanh(C)
            outputs.append(H)
        return torch.stack(outputs), (H, C)


class GRU(nn.Module):
    """A gated recurrent unit layer.

    With the reset gate ``R = sigmoid(X_t W_xr + H_{t-1} W_hr + b_r)`` and the update
    gate ``Z`` likewise::

        candidate_t = tanh(X_t W_xc + b_c + R_t * (H_{t-1} W_hc + b_hc))
        H_t = (1 - Z_t) * candidate_t + Z_t * H_{t-1}

    Args:
        input_size: D, features of an input (V for one-hot tokens).
        hidden_size: H, hidden units.
        init_std: Standard deviation of the initial weights; the biases begin at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Attributes:
        W_x: ``(W_xr, W_xz, W_xc)``, shape ``(D, 3H)``, in PyTorch's order.
        W_h: ``(W_hr, W_hz, W_hc)``, shape ``(H, 3H)``.
        b: ``(b_r, b_z, b_c)``, shape ``(3H,)``.
        b_hc: The bias that the reset gate scales, shape ``(H,)``.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Cho et al. (2014), in the variant of cuDNN and PyTorch: the reset gate acts
        after the product with ``W_hc``, not before, and ``Z`` keeps the old state.
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
        self.W_x = initial_weights(
            input_size, 3 * hidden_size, init_std=init_std, **like
        )
        self.W_h = initial_weights(
            hidden_size, 3 * hidden_size, init_std=init_std, **like
        )
        self.b = nn.Parameter(torch.zeros(3 * hidden_size, device=device, dtype=dtype))
        self.b_hc = nn.Parameter(torch.zeros(hidden_size, device=device, dtype=dtype))

    def begin_state(
        self, batch_size: int, device: torch.device | str | None = None
    ) -> tuple[Tensor]:
        """Return the state before the first token: zeros.

        Args:
            batch_size: N, sequences that are read side by side.
            device: Where the state lives; by default beside the parameters.

        Returns:
            A tuple of one tensor, ``(N, H)``, as the RNN has it.

        Raises:
            ValueError: If ``batch_size`` is below 1.
        """
        check_sizes(batch_size=batch_size)
        return (self.b.new_zeros(batch_size, self.hidden_size, device=device),)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Shape ``(T, N, D)``, time first, in the dtype of the parameters.
            state: What an earlier call returned, ``((N, H),)``; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape.
        """
        check_layer_input(inputs, self.input_size)
        if state is None:
            state = self.begin_state(inputs.shape[1])
        check_state(state, 1, inputs, self.hidden_size)
        (H,) = state
        outputs = []
        for X in inputs:  # X: (N, D)
            x_r, x_z, x_c = (X @ self.W_x + self.b).chunk(3, dim=1)  # (N, H) each
            h_r, h_z, h_c = (H @ self.W_h).chunk(3, dim=1)
            R, Z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            candidate = torch.tanh(x_c + R * (h_c + self.b_hc))
            H = (1 - Z) * candidate + Z * H
            outputs.append(H)
        return torch.stack(outputs), (H,)
