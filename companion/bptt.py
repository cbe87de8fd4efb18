"""Backpropagation through time, written out: the derivation of chapter 7."""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.support import arguments, checks

# The axes of each argument: equal letters stand for equal sizes.
AXES = {"X": "TND", "targets": "TN", "H_0": "NH", "W_xh": "DH", "W_hh": "HH"}
AXES |= {"b_h": "H", "W_hq": "HV", "b_q": "V"}


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
        ValueError: If shapes, dtypes or devices do not fit each other, or ``targets``
            holds anything but ids of the vocabulary.

    Source:
        Equations of chapter 7, after Werbos (1990).

    Example:
        >>> X, H_0, W, b = (torch.zeros(s) for s in ((3, 1, 2), (1, 2), (2, 2), (2,)))
        >>> grads = rnn_gradients(X, torch.zeros(3, 1).long(), H_0, W, W, b, W, b)
        >>> grads["b_q"]  # three targets, each at 1/2 instead of 1
        tensor([-1.5000,  1.5000])
    """
    given = dict(zip(AXES, (X, targets, H_0, W_xh, W_hh, b_h, W_hq, b_q), strict=True))
    given = {name: checks.as_tensor(name, given[name], "a tensor") for name in AXES}
    arguments.axes(given, AXES, "targets")
    X, _, H_0, W_xh, W_hh, b_h, W_hq, b_q = given.values()
    targets = checks.ids(targets, len(b_q), name="targets")
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
