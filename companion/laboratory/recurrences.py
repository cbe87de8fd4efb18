"""The recurrences of the fast layers, with a backward pass by hand (laboratory C)."""

import contextlib
import functools

import torch
from torch import Tensor

from companion.support import checks


def _tanh_of_half_(z: Tensor, minus_one: Tensor) -> Tensor:
    """Replace z by the hyperbolic tangent of its half, ``2 sigmoid(z) - 1``.

    PyTorch's sigmoid takes a fraction of the time of its tanh on a CPU. The error stays
    below two spacings of floats at 1, so numbers near zero lose relative precision:
    nothing for half precision, which the layers therefore leave for float32.
    """
    return torch.add(minus_one, z.sigmoid_(), alpha=2, out=z)


def no_autocast(tensor: Tensor):
    """Return a context that leaves autocast, where it is on."""
    if checks.autocasts(tensor):
        return torch.autocast(tensor.device.type, enabled=False)
    return contextlib.nullcontext()


def _once(backward):
    """Make a backward pass refuse to be differentiated, and leave autocast outside."""

    @functools.wraps(backward)
    def run(ctx, *grads):
        # Gradients are recorded here only if a graph of the backward pass was asked
        # for. PyTorch's once_differentiable would not notice where the loss is linear
        # in the outputs.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a fast layer cannot be differentiated twice (create_graph=True); "
                "companion.rnn.RNN and companion.lstm.LSTM can"
            )
        with no_autocast(ctx.saved_tensors[0]):
            return backward(ctx, *grads)

    return run


class RNNFunction(torch.autograd.Function):
    """The recurrence ``H_t = tanh(P_t + H_{t-1} W_hh)`` with its gradient by hand.

    ``apply(P, H_0, W_hh)`` takes the input products ``P_t = X_t W_xh + b_h`` of all
    steps, ``(T, N, H)``, and **overwrites them** with the states it returns; ``H_0`` is
    ``(N, H)``, or None for zeros. All in float32 or float64. Differentiable once.
    """

    @staticmethod
    def forward(ctx, P: Tensor, H_0: Tensor | None, W_hh: Tensor) -> Tensor:
        """Run the recurrence over all steps; see the class."""
        H, minus_one = H_0, P.new_full((), -1.0)
        for Z in P.unbind():
            # Twice what enters the tanh; the factors cost nothing in a product.
            Z = Z.add_(Z) if H is None else Z.addmm_(H, W_hh, beta=2, alpha=2)
            H = _tanh_of_half_(Z, minus_one)
        ctx.mark_dirty(P)
        ctx.save_for_backward(P, H_0, W_hh)
        return P

    @staticmethod
    @_once
    def backward(ctx, grad: Tensor):
        """Return the gradients with respect to the arguments of ``apply``."""
        H, H_0, W_hh = ctx.saved_tensors
        dZ = torch.addcmul(H.new_ones(()), H, H, value=-1)  # 1 - H_t^2, of all steps
        grads, steps = grad.unbind(), dZ.unbind()
        delta = torch.empty_like(grads[0])
        later = steps[-1].mul_(grads[-1])
        for t in reversed(range(len(H) - 1)):
            torch.addmm(grads[t], later, W_hh.T, out=delta)
            later = steps[t].mul_(delta)
        # Of all steps at once: one product instead of T.
        dW_hh = torch.mm(H[:-1].flatten(0, 1).T, dZ[1:].flatten(0, 1))
        if H_0 is not None:
            dW_hh.addmm_(H_0.T, dZ[0])
        dH_0 = torch.mm(dZ[0], W_hh.T) if ctx.needs_input_grad[1] else None
        return dZ, dH_0, dW_hh


class LSTMFunction(torch.autograd.Function):
    """The recurrence of the LSTM with its gradient by hand.

    ``apply(P, H_0, C_0, W_h)`` takes the input products ``X_t W_x + b`` of all steps,
    ``(T, N, 4H)``, in the order i, f, candidate, o; ``H_0`` and ``C_0`` are ``(N, H)``,
    or both None for zeros; all in float32 or float64. It returns the hidden states,
    ``(T, N, H)``, the last cell, ``(N, H)``, and the gates, ``(T, N, 4H)``, with which
    it **overwrites** P. Differentiable once.
    """

    @staticmethod
    def forward(
        ctx, P: Tensor, H_0: Tensor | None, C_0: Tensor | None, W_h: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the recurrence over all steps; see the class."""
        T, N, width = P.shape
        cells, tanhs, outputs = (P.new_empty(T, N, width // 4) for _ in range(3))
        H, C, minus_one = H_0, C_0, P.new_full((), -1.0)
        steps = zip(
            P.unbind(),
            *(gate.unbind() for gate in P.chunk(4, dim=2)),
            cells.unbind(),
            tanhs.unbind(),
            outputs.unbind(),
            strict=True,
        )
        for Z, i, f, cand, o, cell, tanh, output in steps:
            if H is not None:
                Z.addmm_(H, W_h)
            cand.add_(cand)
            Z.sigmoid_()  # all four at once, for tanh z = 2 sigmoid(2z) - 1
            torch.add(minus_one, cand, alpha=2, out=cand)
            torch.mul(i, cand, out=cell)
            C = cell if C is None else cell.addcmul_(f, C)
            _tanh_of_half_(torch.add(C, C, out=tanh), minus_one)
            H = torch.mul(o, tanh, out=output)
        ctx.mark_dirty(P)
        ctx.save_for_backward(P, cells, tanhs, outputs, H_0, C_0, W_h)
        ctx.set_materialize_grads(False)
        return outputs, C.clone(), P

    @staticmethod
    @_once
    def backward(ctx, grad_H, grad_C, grad_gates):
        """Return the gradients with respect to the arguments of ``apply``."""
        gates, cells, tanhs, outputs, H_0, C_0, W_h = ctx.saved_tensors
        if grad_H is None:
            grad_H = torch.zeros_like(outputs)
        dC = torch.zeros_like(cells[0]) if grad_C is None else grad_C.clone()
        i, f, cand, o = gates.chunk(4, dim=2)
        # What needs no gradient from a later step is computed for all steps at once:
        # by how much a gate changes with Z, times what it is multiplied with.
        dZ = torch.addcmul(gates, gates, gates, value=-1)  # sigmoid' = s - s^2
        di, df, dcand, do = dZ.chunk(4, dim=2)
        # tanh' = 1 - tanh^2
        torch.addcmul(gates.new_ones(()), cand, cand, value=-1, out=dcand)
        extra = None if grad_gates is None else (grad_gates * dZ).unbind()
        di.mul_(cand)
        df[1:].mul_(cells[:-1])
        df[0].zero_() if C_0 is None else df[0].mul_(C_0)
        dcand.mul_(i)
        do.mul_(tanhs)
        slope = torch.addcmul(o, outputs, tanhs, value=-1)  # o (1 - tanh(C)^2)

        T, N, width = gates.shape
        of_C = dZ.view(T, N, 4, width // 4)[:, :, :3].unbind()  # i, f, candidate
        grads, slopes, forget = grad_H.unbind(), slope.unbind(), f.unbind()
        steps, of_H = dZ.unbind(), do.unbind()
        dH, later = grads[-1].clone(), None
        for t in reversed(range(T)):
            if later is not None:
                torch.addmm(grads[t], later, W_h.T, out=dH)
            dC.addcmul_(dH, slopes[t])
            of_C[t].mul_(dC.unsqueeze(1))
            of_H[t].mul_(dH)
            dC.mul_(forget[t])
            later = steps[t] if extra is None else steps[t].add_(extra[t])
        dW_h = torch.mm(outputs[:-1].flatten(0, 1).T, dZ[1:].flatten(0, 1))
        if H_0 is not None:
            dW_h.addmm_(H_0.T, dZ[0])
        dH_0 = torch.mm(dZ[0], W_h.T) if ctx.needs_input_grad[1] else None
        return dZ, dH_0, dC if ctx.needs_input_grad[2] else None, dW_h
