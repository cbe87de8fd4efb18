"""Minibatches from one long stream of token ids.

``sequential_batches`` and ``random_batches`` cut the stream into windows of T tokens
and return each window ``X`` with its target ``Y``, the same window one token later.
They differ in what stands in row i of the next minibatch: the continuation of row i,
or a window from anywhere.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from companion.support import checks


def _prepare(
    ids: Tensor, batch_size: int, num_steps: int, generator: torch.Generator | None
) -> tuple[Tensor, int]:
    """Check the arguments; return the stream, copied, and the offset, drawn."""
    ids = checks.as_ids(ids, dims=1).clone()  # what becomes of the original is not seen
    checks.sizes(batch_size=batch_size, num_steps=num_steps)
    checks.generator(generator)
    offset = 0
    if generator is not None:
        device = generator.device
        offset = int(torch.randint(num_steps, (), generator=generator, device=device))
    needed = offset + batch_size * num_steps + 1
    if len(ids) < needed:
        raise ValueError(
            f"ids holds {len(ids)} tokens; accepted: at least {needed} for one "
            f"minibatch of {batch_size} x {num_steps} from offset {offset}"
        )
    return ids, offset


def sequential_batches(
    ids: Tensor,
    batch_size: int,
    num_steps: int,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the stream into N long rows and walk along all of them together.

    Row i of each minibatch continues row i of the one before it, so the state of the
    network may be carried over. What does not fill a window is left out.

    Args:
        ids: Token ids, integer, shape ``(n,)``.
        batch_size: N, rows of a minibatch, 1 or more.
        num_steps: T, tokens of a row, 1 or more.
        generator: Draws the offset, 0 ... T-1, at which the first row begins, so that
            epochs cut the stream at different places. None: offset 0.

    Yields:
        ``X`` and ``Y``, both ``(N, T)``, in the dtype and on the device of ``ids``;
        ``Y`` is the stream one token after ``X``. They are copies.

    Raises:
        ValueError: If an argument is not as said, or ``ids`` is too short for one
            minibatch (``N*T + 1`` tokens from the offset; ``N*T + T`` always suffice).
            Raised by the call, not by the first step of the iteration.

    Example:
        >>> X, Y = next(sequential_batches(torch.arange(9), batch_size=2, num_steps=3))
        >>> X.tolist(), Y.tolist()
        ([[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]])
    """
    ids, offset = _prepare(ids, batch_size, num_steps, generator)
    length = (len(ids) - offset - 1) // batch_size
    used = batch_size * length
    inputs = ids[offset : offset + used].reshape(batch_size, length)
    targets = ids[offset + 1 : offset + 1 + used].reshape(batch_size, length)
    starts = range(0, length - num_steps + 1, num_steps)
    windows = (slice(i, i + num_steps) for i in starts)
    return ((inputs[:, w].clone(), targets[:, w].clone()) for w in windows)


def random_batches(
    ids: Tensor, batch_size: int, num_steps: int, *, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the stream into windows of T tokens and deal them out in random order.

    Neighbouring windows land in unrelated places, so a state carried from one
    minibatch to the next would belong to other text: begin each one anew. Windows do
    not overlap, and each is used at most once; up to N-1 of them are left out.

    Args:
        ids: Token ids, integer, shape ``(n,)``.
        batch_size: N, windows of a minibatch.
        num_steps: T, tokens of a window.
        generator: Draws the offset, 0 ... T-1, and the order of the windows.

    Yields:
        ``X`` and ``Y`` as in :func:`sequential_batches`.

    Raises:
        ValueError: As in :func:`sequential_batches`, and if there is no generator.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> X, Y = next(random_batches(torch.arange(9), 2, 3, generator=generator))
        >>> X.shape, bool((Y == X + 1).all())
        (torch.Size([2, 3]), True)
    """
    if generator is None:
        raise ValueError("generator is None; accepted: a Generator, to draw the order")
    ids, offset = _prepare(ids, batch_size, num_steps, generator)
    num_windows = (len(ids) - offset - 1) // num_steps
    order = torch.randperm(num_windows, generator=generator, device=generator.device)
    starts = offset + num_steps * order.to(ids.device)
    within = torch.arange(num_steps, device=ids.device)
    positions = starts[:, None] + within  # (windows, T)
    full = num_windows // batch_size * batch_size
    return (
        (ids[rows], ids[rows + 1]) for rows in positions[:full].split(int(batch_size))
    )
