"""Gradient clipping: a bound on the length of a step, not on its direction."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_grad_norm_(
    parameters: nn.Module | Tensor | Iterable[Tensor], max_norm: float
) -> float:
    """Project the gradient onto a ball: ``g <- min(1, max_norm / ||g||) g``, in place.

    All gradients together are one vector g, and ``||g||`` is its Euclidean norm. A
    parameter without a gradient (``None``) counts as zero and stays as it is.

    Args:
        parameters: A module, one tensor, or tensors.
        max_norm: The radius, above zero.

    Returns:
        The norm *before* clipping: worth recording, since it tells how often and how
        hard clipping intervened.

    Raises:
        ValueError: If ``max_norm`` is not above zero.
        FloatingPointError: If the norm is infinite or NaN. The gradients are left
            untouched, and a step along them would destroy the model. PyTorch's function
            of the same name would spread the NaN over all parameters.

    Source:
        Pascanu, Mikolov and Bengio (2013), algorithm 1.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}; accepted: a number above 0")
    if isinstance(parameters, nn.Module):
        parameters = parameters.parameters()
    elif isinstance(parameters, Tensor):
        parameters = [parameters]
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return 0.0
    # The norm of the norms: squares of single entries are never added up across tensors
    # of different devices.
    norms = torch.stack([g.norm().to(grads[0].device) for g in grads])
    norm = norms.norm().item()
    if norm != norm or norm == float("inf"):
        raise FloatingPointError(f"the norm of the gradient is {norm}")
    if norm > max_norm:
        for grad in grads:
            grad.mul_(max_norm / norm)
    return norm
