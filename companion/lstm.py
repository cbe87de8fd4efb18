"""The gated layers, from scratch: LSTM and GRU."""

import math

import torch
from torch import Tensor

from companion.rnn import RecurrentLayer
from companion.support import checks


class LSTM(RecurrentLayer):
    """A long short-term memory layer.

    With the gates ``I, F, O = sigmoid(...)`` and the candidate ``tanh(...)``, each
    of ``X_t W_x* + H_{t-1} W_h* + b_*``::

        C_t = F_t * C_{t-1} + I_t * candidate_t
        H_t = O_t * tanh(C_t)

    The four matrices of each kind stand side by side in one, in PyTorch's order (i, f,
    c for the candidate, which PyTorch calls g, and o), so that a step takes one product
    and not four.

    Args:
        input_size: D, features of an input.
        hidden_size: H, hidden units.
        forget_bias: First value of the forget gate's bias; the others begin at zero.
        **weights: As for :class:`~companion.rnn.RecurrentLayer`, whose errors it has.

    Attributes:
        W_x: ``(W_xi, W_xf, W_xc, W_xo)``, shape ``(D, 4H)``.
        W_h: ``(W_hi, W_hf, W_hc, W_ho)``, shape ``(H, 4H)``.
        b: ``(b_i, b_f, b_c, b_o)``, shape ``(4H,)``.

    Source:
        Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000),
        without peepholes; the equations of chapter 6.

    Example:
        >>> outputs, (H, C) = LSTM(28, 16)(torch.zeros(35, 2, 28))
        >>> outputs.shape, H.shape, C.shape
        (torch.Size([35, 2, 16]), torch.Size([2, 16]), torch.Size([2, 16]))
    """

    parts = 2

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 0.0, **weights
    ):
        checks.number("forget_bias", forget_bias, "a finite number", math.isfinite)
        super().__init__(input_size, hidden_size, **weights)
        with torch.no_grad():
            self.b[hidden_size : 2 * hidden_size] = forget_bias

    def _build(self, D, H, normal, zeros):
        self.W_x, self.W_h, self.b = normal(D, 4 * H), normal(H, 4 * H), zeros(4 * H)

    def _step(self, X: Tensor, H: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        gates = X @ self.W_x + H @ self.W_h + self.b  # (N, 4H)
        i, f, candidate, o = gates.chunk(4, dim=1)  # (N, H) each
        C = torch.sigmoid(f) * C + torch.sigmoid(i) * torch.tanh(candidate)
        return torch.sigmoid(o) * torch.tanh(C), C


class GRU(RecurrentLayer):
    """A gated recurrent unit layer.

    With the reset gate ``R = sigmoid(X_t W_xr + H_{t-1} W_hr + b_r)`` and the update
    gate ``Z`` likewise::

        candidate_t = tanh(X_t W_xc + b_c + R_t * (H_{t-1} W_hc + b_hc))
        H_t = (1 - Z_t) * candidate_t + Z_t * H_{t-1}

    Arguments and errors are those of :class:`~companion.rnn.RecurrentLayer`.

    Attributes:
        W_x: ``(W_xr, W_xz, W_xc)``, shape ``(D, 3H)``, in PyTorch's order.
        W_h: ``(W_hr, W_hz, W_hc)``, shape ``(H, 3H)``.
        b: ``(b_r, b_z, b_c)``, shape ``(3H,)``.
        b_hc: The bias that the reset gate scales, shape ``(H,)``.

    Source:
        Cho et al. (2014), in the variant of cuDNN and PyTorch: the reset gate acts
        after the product with ``W_hc``, not before, and ``Z`` keeps the old state.

    Example:
        >>> outputs, (H,) = GRU(28, 16)(torch.zeros(35, 2, 28))
        >>> outputs.shape, H.shape
        (torch.Size([35, 2, 16]), torch.Size([2, 16]))
    """

    def _build(self, D, H, normal, zeros):
        self.W_x, self.W_h, self.b = normal(D, 3 * H), normal(H, 3 * H), zeros(3 * H)
        self.b_hc = zeros(H)

    def _step(self, X: Tensor, H: Tensor) -> tuple[Tensor]:
        x_r, x_z, x_c = (X @ self.W_x + self.b).chunk(3, dim=1)  # (N, H) each
        h_r, h_z, h_c = (H @ self.W_h).chunk(3, dim=1)
        R, Z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        candidate = torch.tanh(x_c + R * (h_c + self.b_hc))
        return ((1 - Z) * candidate + Z * H,)
