"""Laboratory B: a stack of M networks, so that a step of all is one batched product.

Their parameters have M as the first dimension.
"""

import math

import torch
from torch import Tensor

from companion.laboratory.adding import adding_batch

GATES = {"RNN": 1, "ReLU": 1, "GRU": 3, "LSTM": 4}  # blocks of W_h
HIDDEN = 32


def shapes(kind: str, hidden: int = HIDDEN) -> dict[str, tuple[int, int]]:
    """Shapes of one network's parameters, in the order in which they lie in a row."""
    width = GATES[kind] * hidden
    return {
        "W_x": (2, width),
        "W_h": (hidden, width),
        "b": (1, width),
        "W_q": (hidden, 1),
        "b_q": (1, 1),
    }


def start(
    kind: str, how: str, bias: float = 0.0, seed: int = 0, hidden: int = HIDDEN
) -> Tensor:
    """Draw the parameters of one network, in a row, in float64.

    Weights are uniform within 1/sqrt(H), or normal with the standard deviation that
    ``how`` names; with "orthogonal" or "identity" each block of W_h is that instead. A
    number after the word multiplies W_x. Biases are zero, but for ``bias`` on the gate
    that keeps the state. PyTorch's order: GRU r, z, candidate; LSTM i, f, candidate, o.
    """
    generator = torch.Generator().manual_seed(seed)
    like = {"generator": generator, "dtype": torch.float64}
    found, width = {}, hidden**-0.5
    name, *factor = how.split()
    for key, shape in shapes(kind, hidden).items():
        if key in ("b", "b_q"):
            found[key] = torch.zeros(shape, dtype=torch.float64)
        elif name.replace(".", "").isdigit():
            found[key] = float(name) * torch.randn(shape, **like)
        else:
            found[key] = (2 * torch.rand(shape, **like) - 1) * width
    for block in found["W_h"].split(hidden, 1):
        if name == "orthogonal":
            q, r = torch.linalg.qr(torch.randn(hidden, hidden, **like))
            block.copy_(q * r.diagonal().sign())
        elif name == "identity":
            block.copy_(torch.eye(hidden))
    for number in factor:
        found["W_x"] *= float(number)
    if kind in ("GRU", "LSTM"):
        found["b"][:, hidden : 2 * hidden] = bias
    return torch.cat([part.flatten() for part in found.values()])


def unpack(kind: str, rows: Tensor, hidden: int = HIDDEN) -> dict[str, Tensor]:
    """Split rows (M, P) into parameters, (M, ...) each."""
    named = shapes(kind, hidden)
    parts = rows.split([math.prod(shape) for shape in named.values()], dim=1)
    return {
        key: part.view(-1, *shape)
        for (key, shape), part in zip(named.items(), parts, strict=True)
    }


def begin_state(kind: str, like: Tensor, hidden: int = HIDDEN) -> list[Tensor]:
    """Zeros: (M, N, H), and once more for the cell of an LSTM."""
    parts = 2 if kind == "LSTM" else 1
    return [like.new_zeros(*like.shape[1:3], hidden) for _ in range(parts)]


def advance(kind: str, p: dict[str, Tensor], inputs: Tensor, state: list) -> list:
    """Read the inputs (T, M, N, 2) and return the state after them."""
    for x in inputs:
        mine = torch.baddbmm(p["b"], x, p["W_x"])
        h = state[0]
        if kind == "RNN":
            state = [torch.baddbmm(mine, h, p["W_h"]).tanh()]
        elif kind == "ReLU":
            state = [torch.baddbmm(mine, h, p["W_h"]).relu()]
        elif kind == "GRU":
            theirs, H = h @ p["W_h"], h.shape[2]
            gates = (mine[..., : 2 * H] + theirs[..., : 2 * H]).sigmoid()
            r, z = gates.chunk(2, -1)
            candidate = torch.addcmul(mine[..., 2 * H :], r, theirs[..., 2 * H :])
            state = [torch.lerp(candidate.tanh(), h, z)]
        else:
            i, f, g, o = torch.baddbmm(mine, h, p["W_h"]).chunk(4, -1)
            c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            state = [o.sigmoid() * c.tanh(), c]
    return state


def errors(kind: str, p: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each network, (M,); targets are (M, N)."""
    hidden = p["W_h"].shape[1]
    h, *_ = advance(kind, p, inputs, begin_state(kind, inputs, hidden))
    answers = torch.baddbmm(p["b_q"], h, p["W_q"]).squeeze(2)
    return (answers - targets).square().mean(1)


def log_gains(kind: str, rows: Tensor, steps: int, sequences: int = 8) -> Tensor:
    """Return log10 of the memory gain of each network over the adding task, (M,).

    The norm of the derivative of the last state with respect to the first, divided by
    the square root of the numbers in a state; the mean over some sequences.
    """
    p = unpack(kind, rows)
    generator = torch.Generator().manual_seed(20_000 + steps)
    inputs, _ = adding_batch(sequences, steps, generator=generator, dtype=rows.dtype)
    size = HIDDEN * (2 if kind == "LSTM" else 1)
    # One copy of a sequence for each number of the state: row n gives that number's
    # derivatives, and one backward pass all of them.
    inputs = inputs.repeat_interleave(size, 1)[:, None].expand(-1, len(rows), -1, -1)
    first = [part.requires_grad_() for part in begin_state(kind, inputs)]
    last = advance(kind, p, inputs, first)
    one = torch.eye(size, dtype=rows.dtype).repeat(sequences, 1)
    one = one.expand(len(rows), -1, -1).split(HIDDEN, 2)
    J = torch.cat(torch.autograd.grad(last, first, one), 2)  # (M, sequences * S, S)
    J = J.reshape(len(rows), sequences, size, size)
    return (J.norm(dim=(2, 3)) / math.sqrt(size)).log10().mean(1)
