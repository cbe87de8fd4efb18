"""The training step, one for everything that is trained here."""

import math

from torch import Tensor, nn
from torch.optim import Optimizer

from companion.clipping import clip_grad_norm_
from companion.support import checks


def take_step(
    model: nn.Module, loss: Tensor, optimiser: Optimizer, max_norm: float, where: str
) -> tuple[float, float]:
    """Take one step along the clipped gradient.

    Args:
        model: The model.
        loss: Its loss, shape ``()``.
        optimiser: Owns the parameters of the model.
        max_norm: Radius to which the gradient is clipped; infinite: no clipping.
        where: The step, as error messages call it: ``"step 3"``.

    Returns:
        The loss, and the norm of the gradient before clipping.

    Raises:
        ValueError: If ``loss`` is no scalar with a gradient, ``max_norm`` not above
            zero, or the optimiser owns no parameter of the model.
        FloatingPointError: If the loss or the gradient is not finite. The step is not
            taken: the parameters are those that produced the loss.

    Example:
        >>> w = nn.Linear(1, 1, bias=False)
        >>> optimiser = torch.optim.SGD(w.parameters(), lr=0.1)
        >>> take_step(w, 6 * w(torch.zeros(1)).sum() + 1, optimiser, 1, "step 1")
        (1.0, 0.0)
    """
    checks.optimiser(optimiser, model)
    checks.kind("where", where, str, "a string")
    if not isinstance(loss, Tensor) or loss.dim() or not loss.requires_grad:
        checks.refuse("loss", loss, "a scalar tensor with a gradient")
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss is {value} at {where}: lower the learning rate or clip harder"
        )
    optimiser.zero_grad()
    loss.backward()
    try:
        norm = clip_grad_norm_(model, max_norm)
    except FloatingPointError as error:
        error.args = (f"{error} at {where}; the loss is {value:.3g}",)
        raise
    optimiser.step()
    return value, norm
