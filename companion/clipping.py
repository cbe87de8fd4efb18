"""Gradient clipping: a bound on the length of a step, not on its direction."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from companion.support import checks

ACCEPTED = "a module, a tensor that holds a gradient, or a list of such tensors"


def clip_grad_norm_(
    parameters: nn.Module | Tensor | Iterable[Tensor], max_norm: float
) -> float:
    """Project the gradient onto a ball: ``g <- min(1, max_norm / ||g||) g``, in place.

    All gradients together are one vector g, and ``||g||`` is its Euclidean norm. A
    parameter without a gradient (``None``) counts as zero and stays as it is; one that
    is listed twice counts once.

    Args:
        parameters: A module, one tensor, or tensors.
        max_norm: The radius, above zero.

    Returns:
        The norm *before* clipping: it tells how often and how hard clipping intervened.

    Raises:
        ValueError: If ``max_norm`` is not above zero, or no tensor could have a
            gradient (as when the gradients themselves are handed in).
        FloatingPointError: If the norm is infinite or NaN, also where only the squares
            of finite entries overflow, which a note then says. The gradients are left
            untouched; PyTorch's function of this name spreads the NaN over all of them.

    Source:
        Pascanu, Mikolov and Bengio (2013), algorithm 1.

    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> clip_grad_norm_(w, 2.5), w.grad
        (5.0, tensor([1.5000, 2.0000]))
    """
    checks.above_zero(max_norm=max_norm)
    if isinstance(parameters, nn.Module):
        parameters = parameters.parameters()
    elif isinstance(parameters, Tensor):
        parameters = [parameters]
    checks.kind("parameters", parameters, Iterable, ACCEPTED)
    grads, fit, unique = [], [], {id(p): p for p in parameters}.values()
    for p in unique:
        checks.kind("one of parameters", p, Tensor, ACCEPTED)
        if p.is_leaf or p.retains_grad:  # to ask others for a gradient is a warning
            fit.append(p.requires_grad)
            if (grad := p.grad) is not None:
                grads.append(grad)
    if not grads:
        if unique and not any(fit):
            checks.refuse("parameters", [tuple(p.shape) for p in unique], ACCEPTED)
        return 0.0
    # The norm of the norms: entries of different devices are never added up.
    norms = torch.stack([_norm(g).to(grads[0].device) for g in grads])
    norm = norms.norm().item()
    if not math.isfinite(norm):
        error = FloatingPointError(f"the norm of the gradient is {norm}")
        if all(_entries(g).isfinite().all() for g in grads):
            error.add_note(
                "Every entry is finite, but their squares overflow "
                f"{norms.dtype}: the gradient explodes. Clip every step, lower the "
                "learning rate, or compute in float64."
            )
        raise error
    if norm > max_norm:
        for grad in grads:
            grad.mul_(max_norm / norm)
    return norm


def _entries(g: Tensor) -> Tensor:
    return g.coalesce().values() if g.is_sparse else g


def _norm(g: Tensor) -> Tensor:  # in half precision it would be rounded
    return g.norm(dtype=torch.float32 if g.element_size() == 2 else None)
