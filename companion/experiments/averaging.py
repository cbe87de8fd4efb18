"""One learning-rate cycle, and a moving average of the weights beside it."""

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def cycle_and_average(
    model: nn.Module, optimiser: Optimizer, rate: float, steps: int, decay: float
) -> nn.Module:
    """Let every step of an optimiser move the rate along one cycle, and the average.

    Args:
        model: The model.
        optimiser: Its optimiser.
        rate: The highest learning rate, after a tenth of the steps.
        steps: How many there are.
        decay: That of the exponential moving average, at each step.

    Returns:
        A copy of the model with the averaged weights, which follows.
    """
    options = {"total_steps": steps, "pct_start": 0.1, "final_div_factor": 50}
    cycle = OneCycleLR(optimiser, rate, **options)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    optimiser.register_step_post_hook(
        lambda *_: (cycle.step(), average.update_parameters(model))
    )
    return average.module
