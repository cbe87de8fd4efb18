"""Backpropagation through time, written out: the gradients by hand.

:func:`rnn_gradients` is the derivation of chapter 7, line by line.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

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
