"""The adding task: sequences of numbers in which two are marked (laboratory B)."""

import torch
from torch import Tensor

from companion.support import checks


def adding_batch(
    batch_size: int,
    num_steps: int,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw a minibatch of the adding task: the sum of the two marked numbers.

    Each step has a number, uniform on [0, 1), and a mark, 0 or 1. One step of the first
    half of the sequence is marked and one of the rest; the target is the sum of their
    numbers. Always answering 1 has a mean squared error of 1/6, the variance of the
    sum.

    Args:
        batch_size: N, sequences.
        num_steps: T, steps of a sequence, at least 2.
        generator: Draws; None uses PyTorch's global one.
        device: Where the result lives.
        dtype: Floating-point dtype of both tensors.

    Returns:
        Inputs, ``(T, N, 2)``, number and mark, time first; targets, ``(N,)``.

    Raises:
        ValueError: If ``batch_size`` is not an integer from 1 up or ``num_steps`` from
            2 up, ``device`` cannot be used, or ``dtype`` is not floating-point.

    Source:
        Hochreiter and Schmidhuber (1997), experiment 4, in the simpler form of Le et
        al. (2015), with one mark in each half.

    Example:
        >>> inputs, targets = adding_batch(batch_size=4, num_steps=10)
        >>> inputs.shape, targets.shape
        (torch.Size([10, 4, 2]), torch.Size([4]))
    """
    checks.sizes(batch_size=batch_size)
    checks.sizes(least=2, num_steps=num_steps)
    checks.generator(generator)
    checks.place(device, dtype)
    where = generator.device if generator is not None else None
    half = num_steps // 2
    shape = (num_steps, batch_size)
    numbers = torch.rand(shape, generator=generator, device=where, dtype=dtype)
    like = {"generator": generator, "device": where}
    first = torch.randint(half, (batch_size,), **like)
    second = torch.randint(half, num_steps, (batch_size,), **like)
    marks = torch.zeros_like(numbers)
    marks.scatter_(0, torch.stack((first, second)), 1)
    targets = (numbers * marks).sum(0)
    return torch.stack((numbers, marks), dim=2).to(device), targets.to(device)
