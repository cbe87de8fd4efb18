# ruff: noqa: D101, D102
"""The rungs of laboratory C: the same layer with one economy more each time.

The page shows the functions down to LSTMByHand, and a test compares the two texts.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.laboratory.recurrences import RNNFunction
from companion.lstm import LSTM
from companion.rnn import RNN


class ByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, P, H_0, W):
        H = [H_0]
        for P_t in P:
            H.append(torch.tanh(P_t + H[-1] @ W))
        ctx.save_for_backward(W, *H)
        return torch.stack(H[1:])

    @staticmethod
    def backward(ctx, grad):
        W, *H = ctx.saved_tensors
        E, dW = [], torch.zeros_like(W)
        from_later = torch.zeros_like(H[0])
        for t in reversed(range(len(grad))):
            E.append((grad[t] + from_later) * (1 - H[t + 1] ** 2))
            dW = dW + H[t].T @ E[-1]  # T products, T new sums
            from_later = E[-1] @ W.T
        return torch.stack(E[::-1]), from_later, dW


class Accumulating(ByHand):
    @staticmethod
    def backward(ctx, grad):
        W, *H = ctx.saved_tensors
        E, dW = [], torch.zeros_like(W)
        from_later = torch.zeros_like(H[0])
        for t in reversed(range(len(grad))):
            E.append((grad[t] + from_later) * (1 - H[t + 1] ** 2))
            dW.addmm_(H[t].T, E[-1])  # T products, one sum
            from_later = E[-1] @ W.T
        return torch.stack(E[::-1]), from_later, dW


class Buffered(ByHand):
    """A control: as many passes over H^2 numbers as ByHand, in memory used again."""

    @staticmethod
    def backward(ctx, grad):
        W, *H = ctx.saved_tensors
        E, dW, product = [], torch.zeros_like(W), torch.empty_like(W)
        from_later = torch.zeros_like(H[0])
        for t in reversed(range(len(grad))):
            E.append((grad[t] + from_later) * (1 - H[t + 1] ** 2))
            dW.add_(torch.mm(H[t].T, E[-1], out=product))
            from_later = E[-1] @ W.T
        return torch.stack(E[::-1]), from_later, dW


class OneProduct(ByHand):
    @staticmethod
    def backward(ctx, grad):
        W, *H = ctx.saved_tensors
        E, from_later = [], torch.zeros_like(H[0])
        for t in reversed(range(len(grad))):
            E.append((grad[t] + from_later) * (1 - H[t + 1] ** 2))
            from_later = E[-1] @ W.T
        E = torch.stack(E[::-1])
        dW = torch.stack(H[:-1]).flatten(0, 1).T @ E.flatten(0, 1)
        return E, from_later, dW


class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, P, H_0, W):
        H = H_0
        for Z in P.unbind():
            H = Z.addmm_(H, W).tanh_()
        ctx.mark_dirty(P)  # P now holds the states
        ctx.save_for_backward(P, H_0, W)
        return P

    @staticmethod
    def backward(ctx, grad):
        H, H_0, W = ctx.saved_tensors
        E = torch.addcmul(H.new_ones(()), H, H, value=-1)  # 1 - H^2
        E[-1].mul_(grad[-1])
        delta = torch.empty_like(H_0)
        for t in reversed(range(len(H) - 1)):
            torch.addmm(grad[t], E[t + 1], W.T, out=delta)
            E[t].mul_(delta)
        dW = H[:-1].flatten(0, 1).T @ E[1:].flatten(0, 1)
        return E, E[0] @ W.T, dW.addmm_(H_0.T, E[0])


def lstm_forward(P, H_0, C_0, W):
    H, C, gates = [H_0], [C_0], []
    for P_t in P:
        i, f, cand, o = (P_t + H[-1] @ W).chunk(4, dim=1)
        i, f, cand, o = i.sigmoid(), f.sigmoid(), cand.tanh(), o.sigmoid()
        C.append(f * C[-1] + i * cand)
        H.append(o * C[-1].tanh())
        gates.append((i, f, cand, o))
    return H, C, gates


def lstm_backward(sent, sent_C, H, C, gates, W):
    E, dH, dC = [], torch.zeros_like(H[0]), sent_C
    for t in reversed(range(len(gates))):
        i, f, cand, o = gates[t]
        tanh = C[t + 1].tanh()
        dH = sent[t] + dH  # Delta
        dC = dC + dH * o * (1 - tanh**2)  # Gamma
        E_i = dC * cand * i * (1 - i)
        E_f = dC * C[t] * f * (1 - f)
        E_c = dC * i * (1 - cand**2)
        E_o = dH * tanh * o * (1 - o)
        E.append(torch.cat((E_i, E_f, E_c, E_o), dim=1))
        dH, dC = E[-1] @ W.T, dC * f  # for the step before
    E = torch.stack(E[::-1])
    dW = torch.stack(H[:-1]).flatten(0, 1).T @ E.flatten(0, 1)
    return E, dH, dC, dW


class LSTMByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, P, H_0, C_0, W):
        H, C, gates = lstm_forward(P, H_0, C_0, W)
        flat = [gate for step in gates for gate in step]
        ctx.save_for_backward(W, *H, *C, *flat)
        return torch.stack(H[1:]), C[-1]

    @staticmethod
    def backward(ctx, sent, sent_C):
        W, *kept = ctx.saved_tensors
        n = len(sent) + 1
        H, C, flat = kept[:n], kept[n : 2 * n], kept[2 * n :]
        gates = [flat[4 * t : 4 * t + 4] for t in range(n - 1)]
        return lstm_backward(sent, sent_C, H, C, gates, W)


class Layer(RNN):
    """An RNN around one of the functions; it reads one-hot rows or looks rows up."""

    def __init__(self, V: int, hidden: int, function: type, reads_ids: bool = False):
        super().__init__(V, hidden)
        self.function, self.reads_ids = function, reads_ids

    def forward(self, inputs: Tensor, state: tuple[Tensor]) -> tuple:
        if self.reads_ids:
            products = F.embedding(inputs, self.W_xh + self.b_h)
        else:
            products = inputs @ self.W_xh + self.b_h
        outputs = self.function.apply(products, *state, self.W_hh)
        return outputs, (outputs[-1].clone(),)


class LSTMLayer(LSTM):
    """An LSTM around the plain function, on one-hot rows."""

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple:
        products = inputs @ self.W_x + self.b
        outputs, C = LSTMByHand.apply(products, *state, self.W_h)
        return outputs, (outputs[-1].clone(), C)


class TInPlace(RNNFunction):
    """The companion's function with T products, added up in place."""

    @staticmethod
    def backward(ctx, grad):
        H, H_0, W = ctx.saved_tensors
        dZ = torch.addcmul(H.new_ones(()), H, H, value=-1)
        grads, steps = grad.unbind(), dZ.unbind()
        delta, dW = torch.empty_like(grads[0]), torch.zeros_like(W)
        later = steps[-1].mul_(grads[-1])
        for t in reversed(range(len(H) - 1)):
            dW.addmm_(H[t].T, later)
            torch.addmm(grads[t], later, W.T, out=delta)
            later = steps[t].mul_(delta)
        dW.addmm_(H_0.T, later)
        return dZ, torch.mm(later, W.T), dW


#: The rungs, each with one economy more; then the last one without one of them.
RUNGS = {
    "by hand, T products": (ByHand, False),
    "T products, one buffer": (Buffered, False),
    "added up in place": (Accumulating, False),
    "one product": (OneProduct, False),
    "all in place": (InPlace, False),
    "sigmoid for tanh": (RNNFunction, False),
    "look-up": (RNNFunction, True),
    "all but one product": (TInPlace, True),
    "all but sigmoid": (InPlace, True),
}
