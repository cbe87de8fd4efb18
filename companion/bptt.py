"""Backpropagation through time, written out: gradients by hand, and fast layers.

:func:`rnn_gradients` is the derivation of chapter 7, line by line. :class:`FastRNN` and
:class:`FastLSTM` are the layers of :mod:`companion.rnn` and :mod:`companion.lstm` with
a backward pass of their own: they compute the same, in less time (laboratory C).
"""

import contextlib
import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.lstm import LSTM
from companion.rnn import RNN, check_layer_input, check_sizes, check_state
from companion.text import check_ids


def rnn_gradients(
    X: Tensor,
    targets: Tensor,
    H_0: Tensor,
    W_xh: Tensor,
    W_hh: Tensor,
    b_h: Tensor,
    W_hq: Tensor,
    b_q: Tensor,
) -> dict[str, Tensor]:
    """Differentiate the summed cross-entropy of an RNN language model by hand.

    With ``delta_t``, the gradient of the loss with respect to ``H_t``, and ``Y_t``, the
    one-hot targets::

        delta_t = (softmax(O_t) - Y_t) W_hq^T + (delta_{t+1} * (1 - H_{t+1}^2)) W_hh^T

    Args:
        X: Inputs, ``(T, N, D)``.
        targets: Ids of the targets, integer, ``(T, N)``.
        H_0: First state, ``(N, H)``.
        W_xh: ``(D, H)``.
        W_hh: ``(H, H)``.
        b_h: ``(H,)``.
        W_hq: ``(H, V)``.
        b_q: ``(V,)``.

    Returns:
        ``"loss"``, the sum over all T*N tokens in nats, a scalar; ``"delta"``,
        ``(T, N, H)``; and under the names of the arguments the gradients of the loss
        with respect to ``H_0`` and the five parameters.

    Raises:
        ValueError: If ``targets`` does not fit ``X`` or holds anything but ids of the
            vocabulary.

    Source:
        Equations of chapter 7, after Werbos (1990).
    """
    if targets.shape != X.shape[:2] or len(X) == 0:
        raise ValueError(
            f"X has shape {tuple(X.shape)}, targets {tuple(targets.shape)}; accepted: "
            "(T, N, D) and (T, N) with T at least 1"
        )
    targets = check_ids(targets, len(b_q))
    states = [H_0]
    for X_t in X:
        states.append(torch.tanh(X_t @ W_xh + states[-1] @ W_hh + b_h))  # (N, H)
    H = torch.stack(states[1:])  # (T, N, H)
    O = H @ W_hq + b_q  # noqa: E741 (the symbol of the book), (T, N, V)
    error = O.softmax(-1) - F.one_hot(targets, len(b_q))  # (T, N, V)

    delta, dZ = torch.empty_like(H), torch.empty_like(H)
    from_later = torch.zeros_like(H_0)
    for t in reversed(range(len(X))):
        delta[t] = error[t] @ W_hq.T + from_later  # (N, H)
        dZ[t] = delta[t] * (1 - H[t] ** 2)
        from_later = dZ[t] @ W_hh.T
    before = torch.stack(states[:-1])  # H_{t-1}
    return {
        "loss": F.cross_entropy(O.flatten(0, 1), targets.flatten(), reduction="sum"),
        "delta": delta,
        "H_0": from_later,
        "W_xh": torch.einsum("tnd,tnh->dh", X, dZ),
        "W_hh": torch.einsum("tng,tnh->gh", before, dZ),
        "b_h": dZ.sum((0, 1)),
        "W_hq": torch.einsum("tnh,tnv->hv", H, error),
        "b_q": error.sum((0, 1)),
    }


def _tanh_of_half_(z: Tensor, minus_one: Tensor) -> Tensor:
    """Replace z by the hyperbolic tangent of its half, ``2 sigmoid(z) - 1``.

    PyTorch's sigmoid takes a fraction of the time of its tanh on a CPU. The error stays
    below two spacings of floats at 1, so numbers near zero lose relative precision:
    nothing for half precision, which the layers therefore leave for float32.
    """
    return torch.add(minus_one, z.sigmoid_(), alpha=2, out=z)


def _autocast(tensor: Tensor) -> bool:
    kind = tensor.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _no_autocast(tensor: Tensor):
    if _autocast(tensor):
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
        with _no_autocast(ctx.saved_tensors[0]):
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


def _prepare(
    parts: int,
    inputs: Tensor,
    state: tuple[Tensor, ...] | None,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
) -> tuple[Tensor, tuple[Tensor | None, ...], Tensor]:
    """Check what a layer is given, and return what its function needs.

    Parameters of half precision become float32 here: a recurrence rounds at each step,
    and the tanh of these layers would lose most of what half precision has. Autocast,
    which would round the products to half precision, is left in the same way.

    Returns:
        The input products, the ``parts`` of the state (None for zeros), and ``W_h``.
    """
    ids = inputs.dim() == 2
    if not ids:
        check_layer_input(inputs, len(W_x))
    elif len(inputs) == 0:
        raise ValueError("inputs has no time step; accepted: at least 1")
    else:
        inputs = check_ids(inputs, len(W_x))
    check_sizes(batch_size=inputs.shape[1])
    if state is not None:
        check_state(state, parts, inputs, len(W_h))
    cast = _autocast(inputs)
    for tensor in (*([] if ids else [inputs]), *(state or ())):
        if tensor.dtype != W_x.dtype and not (cast and tensor.is_floating_point()):
            raise ValueError(
                f"inputs or state have dtype {tensor.dtype}; accepted: {W_x.dtype}, "
                "that of the parameters"
            )
    half = W_x.dtype in (torch.float16, torch.bfloat16)
    dtype = torch.float32 if half else W_x.dtype
    W_x, W_h, b = W_x.to(dtype), W_h.to(dtype), b.to(dtype)
    if ids:
        products = F.embedding(inputs, W_x + b)  # a look-up of rows
    else:
        with _no_autocast(inputs):
            products = (inputs.to(dtype) @ W_x).add_(b)
    state = (None,) * parts if state is None else tuple(H.to(dtype) for H in state)
    return products, state, W_h


def _apply(function: type, *arguments: Tensor | None):
    """Apply a function of its own backward pass; ``torch.compile`` does not trace it.

    Traced, it would no longer notice that it is to be differentiated twice.
    """
    if torch.compiler.is_compiling():
        return torch.compiler.disable(function.apply)(*arguments)
    return function.apply(*arguments)


class FastRNN(RNN):
    """The layer of :class:`companion.rnn.RNN`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``, which saves the product with one-hot
    rows; :class:`~companion.language_model.LanguageModel` does so. The state is a copy
    and no view of the outputs. Gradients of gradients are refused. Half precision and
    autocast: the recurrence runs in float32, the results have the parameters' dtype.

    Args:
        input_size: D, features of an input (V for tokens).
        hidden_size: H, hidden units.
        scale: Standard deviation of the initial weights; the bias begins at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Source:
        Laboratory C.
    """

    #: A language model hands such a layer the ids, not their one-hot rows.
    reads_ids = True

    def forward(
        self, inputs: Tensor, state: tuple[Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Ids, integer, ``(T, N)``, or features, ``(T, N, D)``.
            state: What an earlier call returned, ``((N, H),)``; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one, ``((N, H),)``.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape or dtype, or an id
                is not below D.
        """
        products, state, W_hh = _prepare(
            1, inputs, state, self.W_xh, self.W_hh, self.b_h
        )
        outputs = _apply(RNNFunction, products, *state, W_hh).to(self.W_hh.dtype)
        return outputs, (outputs[-1].clone(),)


class FastLSTM(LSTM):
    """The layer of :class:`companion.lstm.LSTM`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``. State, gradients of gradients, half
    precision and autocast are as with :class:`FastRNN`.

    Args:
        input_size: D, features of an input (V for tokens).
        hidden_size: H, hidden units.
        scale: Standard deviation of the initial weights.
        forget_bias: First value of the forget gate's bias; the other biases begin at
            zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Source:
        Laboratory C.
    """

    #: A language model hands such a layer the ids, not their one-hot rows.
    reads_ids = True

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Ids, integer, ``(T, N)``, or features, ``(T, N, D)``.
            state: What an earlier call returned, ``((N, H), (N, H))``; None begins with
                zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one: hidden state and cell.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape or dtype, or an id
                is not below D.
        """
        products, state, W_h = _prepare(2, inputs, state, self.W_x, self.W_h, self.b)
        outputs, C, _ = _apply(LSTMFunction, products, *state, W_h)
        outputs, C = outputs.to(self.W_h.dtype), C.to(self.W_h.dtype)
        return outputs, (outputs[-1].clone(), C)
