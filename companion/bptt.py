"""Backpropagation through time, written out: gradients by hand, and fast layers.

:func:`rnn_gradients` is the derivation of chapter 7, line by line. :class:`FastRNN` and
:class:`FastLSTM` are the layers of :mod:`companion.rnn` and :mod:`companion.lstm` with
a backward pass of their own: they compute the same, in less time.
"""

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


def _tanh_(z: Tensor) -> Tensor:
    """Replace z by its hyperbolic tangent, ``2 sigmoid(2z) - 1``.

    PyTorch's sigmoid takes a fraction of the time of its tanh on a CPU. The error stays
    below two spacings of floats at 1, so numbers near zero lose relative precision.
    """
    z.add_(z).sigmoid_()
    return z.add_(z).sub_(1.0)


def _refuse_a_second_derivative() -> None:
    # A backward pass records gradients only if a graph of it was asked for. PyTorch's
    # once_differentiable would not notice where the loss is linear in the outputs.
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a fast layer cannot be differentiated twice (create_graph=True); "
            "companion.rnn.RNN and companion.lstm.LSTM can"
        )


class RNNFunction(torch.autograd.Function):
    """The recurrence ``H_t = tanh(P_t + H_{t-1} W_hh)`` with its gradient by hand.

    ``apply(P, H_0, W_hh)`` takes the input products ``P_t = X_t W_xh + b_h`` of all
    steps, ``(T, N, H)``, and **overwrites them** with the states it returns; ``H_0`` is
    ``(N, H)``, or None for zeros. Differentiable once.
    """

    @staticmethod
    def forward(ctx, P: Tensor, H_0: Tensor | None, W_hh: Tensor) -> Tensor:
        """Run the recurrence over all steps; see the class."""
        H = H_0
        for Z in P.unbind():
            H = _tanh_(Z if H is None else Z.addmm_(H, W_hh))
        ctx.mark_dirty(P)
        ctx.save_for_backward(P, H_0, W_hh)
        return P

    @staticmethod
    def backward(ctx, grad: Tensor):
        """Return the gradients with respect to the arguments of ``apply``."""
        _refuse_a_second_derivative()
        H, H_0, W_hh = ctx.saved_tensors
        dZ = torch.addcmul(H.new_ones(()), H, H, value=-1)  # 1 - H_t^2, of all steps
        grads, steps = grad.unbind(), dZ.unbind()
        delta = torch.empty_like(grads[0])
        later = steps[-1].mul_(grads[-1])
        for t in reversed(range(len(H) - 1)):
            torch.addmm(grads[t], later, W_hh.T, out=delta)
            later = steps[t].mul_(delta)
        # Of all steps at once: one product instead of T.
        dW_hh = H[:-1].flatten(0, 1).T @ dZ[1:].flatten(0, 1)
        if H_0 is not None:
            dW_hh.addmm_(H_0.T, dZ[0])
        dH_0 = dZ[0] @ W_hh.T if ctx.needs_input_grad[1] else None
        return dZ, dH_0, dW_hh


class LSTMFunction(torch.autograd.Function):
    """The recurrence of the LSTM with its gradient by hand.

    ``apply(P, H_0, C_0, W_h)`` takes the input products ``X_t W_x + b`` of all steps,
    ``(T, N, 4H)``, in the order i, f, g, o, and **overwrites them** with the gates,
    so that nobody may use them afterwards; ``H_0`` and ``C_0`` are ``(N, H)``, or both
    None for zeros. It returns the hidden states, ``(T, N, H)``, and the last cell,
    ``(N, H)``. Differentiable once.
    """

    @staticmethod
    def forward(
        ctx, P: Tensor, H_0: Tensor | None, C_0: Tensor | None, W_h: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the recurrence over all steps; see the class."""
        T, N, width = P.shape
        cells, tanhs, outputs = (P.new_empty(T, N, width // 4) for _ in range(3))
        H, C = H_0, C_0
        steps = zip(
            P.unbind(),
            *(gate.unbind() for gate in P.chunk(4, dim=2)),
            cells.unbind(),
            tanhs.unbind(),
            outputs.unbind(),
            strict=True,
        )
        for Z, i, f, g, o, cell, tanh, output in steps:
            if H is not None:
                Z.addmm_(H, W_h)
            g.add_(g)
            Z.sigmoid_()  # all four at once, for tanh z = 2 sigmoid(2z) - 1
            g.add_(g).sub_(1.0)
            torch.mul(i, g, out=cell)
            C = cell if C is None else cell.addcmul_(f, C)
            H = torch.mul(o, _tanh_(tanh.copy_(C)), out=output)
        ctx.save_for_backward(P, cells, tanhs, outputs, H_0, C_0, W_h)
        return outputs, C.clone()

    @staticmethod
    def backward(ctx, grad_H: Tensor, grad_C: Tensor):
        """Return the gradients with respect to the arguments of ``apply``."""
        _refuse_a_second_derivative()
        gates, cells, tanhs, outputs, H_0, C_0, W_h = ctx.saved_tensors
        T, N, width = gates.shape
        W_hT = W_h.T.contiguous()
        dZ = torch.empty_like(gates)
        dC, dH, rest = grad_C.clone(), grad_H[-1].clone(), torch.empty_like(grad_C)
        steps = zip(
            grad_H.unbind(),
            gates.unbind(),
            *(gate.unbind() for gate in gates.chunk(4, dim=2)),
            tanhs.unbind(),
            (C_0, *cells[:-1].unbind()),
            dZ.unbind(),
            *(gate.unbind() for gate in dZ.chunk(4, dim=2)),
            dZ.view(T, N, 4, width // 4)[:, :, :3].unbind(),
            strict=True,
        )
        later = None
        for grad, Z, i, f, g, o, tanh, before, dZ_t, di, df, dg, do, difg in reversed(
            list(steps)
        ):
            if later is not None:
                torch.addmm(grad, later, W_hT, out=dH)
            # dC_t += dH_t * o * (1 - tanh(C_t)^2)
            dC.add_(torch.mul(dH, o, out=rest)).addcmul_(
                rest.mul_(tanh), tanh, value=-1
            )
            torch.addcmul(Z, Z, Z, value=-1, out=dZ_t)  # sigmoid' = s - s^2
            torch.mul(i, g, out=dg)
            torch.addcmul(i, dg, g, value=-1, out=dg)  # i * tanh' = i - i * g * g
            di.mul_(g)
            df.zero_() if before is None else df.mul_(before)
            difg.mul_(dC.unsqueeze(1))
            do.mul_(tanh).mul_(dH)
            dC.mul_(f)
            later = dZ_t
        dW_h = outputs[:-1].flatten(0, 1).T @ dZ[1:].flatten(0, 1)
        if H_0 is not None:
            dW_h.addmm_(H_0.T, dZ[0])
        dH_0 = dZ[0] @ W_hT if ctx.needs_input_grad[1] else None
        return dZ, dH_0, dC if ctx.needs_input_grad[2] else None, dW_h


def _input_products(inputs: Tensor, W_x: Tensor, b: Tensor) -> Tensor:
    """Return the input products of all steps: a look-up for ids, else one product.

    Args:
        inputs: Token ids, integer, ``(T, N)``, or features, ``(T, N, D)``.
        W_x: ``(D, M)``.
        b: ``(M,)``.

    Returns:
        ``(T, N, M)``, memory of its own.
    """
    if inputs.dim() == 2:
        if len(inputs) == 0:
            raise ValueError("inputs has no time step; accepted: at least 1")
        check_sizes(batch_size=inputs.shape[1])
        return F.embedding(check_ids(inputs, len(W_x)), W_x + b)
    check_layer_input(inputs, len(W_x))
    check_sizes(batch_size=inputs.shape[1])
    return (inputs @ W_x).add_(b)


class FastRNN(RNN):
    """The layer of :class:`companion.rnn.RNN`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``, which saves the product with one-hot
    rows; :class:`~companion.language_model.LanguageModel` does so. Gradients of
    gradients are refused.

    Args:
        input_size: D, features of an input (V for tokens).
        hidden_size: H, hidden units.
        scale: Standard deviation of the initial weights; the bias begins at zero.
        generator: Draws the initial weights; None uses PyTorch's global one.
        device: Where the parameters live.
        dtype: Their dtype.

    Source:
        Chapter 7.
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
            ValueError: If ``inputs`` or ``state`` has another shape, or an id is not
                below D.
        """
        products = _input_products(inputs, self.W_xh, self.b_h)
        if state is not None:
            check_state(state, 1, inputs, self.hidden_size)
        (H,) = state or (None,)
        outputs = RNNFunction.apply(products, H, self.W_hh)
        return outputs, (outputs[-1],)


class FastLSTM(LSTM):
    """The layer of :class:`companion.lstm.LSTM`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``. Gradients of gradients are refused.

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
        Chapter 7.
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
            ValueError: If ``inputs`` or ``state`` has another shape, or an id is not
                below D.
        """
        products = _input_products(inputs, self.W_x, self.b)
        if state is not None:
            check_state(state, 2, inputs, self.hidden_size)
        H, C = state or (None, None)
        outputs, C = LSTMFunction.apply(products, H, C, self.W_h)
        return outputs, (outputs[-1], C)
