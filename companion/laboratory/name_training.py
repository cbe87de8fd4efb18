"""Training on names: minibatches dealt out in buckets, and an epoch over them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn, tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Optimizer

from companion.measuring import wide
from companion.names import ALPHABET
from companion.stepping import take_step
from companion.support import arguments, checks


def batches(
    sequences: Sequence[Tensor],
    labels: Sequence[int],
    batch_size: int,
    *,
    bucket: int = 16,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield every name once, in random minibatches of similar lengths.

    The names are shuffled and dealt out into buckets of ``bucket`` minibatches. Within
    a bucket they are sorted by length and cut, and the minibatches of all buckets come
    in random order. A bucket of 1 sorts nothing and pads most.

    Args:
        sequences: Ids of each name, as :func:`companion.names.ids` returns them.
        labels: Label of each, integers from 0 up.
        batch_size: N; the last minibatch of the last bucket may be smaller.
        bucket: Minibatches of a bucket.
        generator: Shuffles; None uses PyTorch's global one.

    Yields:
        Padded ids ``(T, N)``, lengths ``(N,)``, labels ``(N,)``, all int64.

    Raises:
        ValueError: If there are not as many labels as sequences, a size is below 1,
            and as :func:`~companion.names.pad`.

    Example:
        >>> dealt = batches([tensor([1]), tensor([2]), tensor([3])], [0, 1, 1], 2)
        >>> sorted(len(labels) for padded, lengths, labels in dealt)
        [1, 2]
    """
    columns = arguments.sequences(sequences, len(ALPHABET))
    labels = checks.ids(labels, checks.LARGEST, name="labels", dims=1)
    if len(columns) != len(labels):
        raise ValueError(
            f"{len(columns)} sequences, {len(labels)} labels; accepted: as many of each"
        )
    checks.sizes(batch_size=batch_size, bucket=bucket)
    checks.generator(generator)
    return _deal(columns, labels.tolist(), batch_size, bucket, generator)


def _deal(columns, labels, batch_size, bucket, generator):
    order = torch.randperm(len(columns), generator=generator).tolist()
    cut = []
    for start in range(0, len(order), bucket * batch_size):
        places = order[start : start + bucket * batch_size]
        if bucket > 1:
            places.sort(key=lambda place: len(columns[place]))
        cut += [places[i : i + batch_size] for i in range(0, len(places), batch_size)]
    for number in torch.randperm(len(cut), generator=generator).tolist():
        chosen = [columns[place] for place in cut[number]]
        lengths = tensor([len(column) for column in chosen])
        yield pad_sequence(chosen), lengths, tensor([labels[i] for i in cut[number]])


def train_on_names(
    model: nn.Module,
    minibatches: Iterable[tuple[Tensor, Tensor, Tensor]],
    optimiser: Optimizer,
    *,
    max_norm: float = 1.0,
    objective: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> float:
    """Take one optimiser step a minibatch of names: one epoch.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``.
        minibatches: Ids, lengths and labels, as those of :func:`batches`.
        optimiser: Owns the parameters of the model.
        max_norm: Radius to which each gradient is clipped; infinite: no clipping.
        objective: Maps ids, lengths and labels to the loss; None takes the
            cross-entropy of the logits.

    Returns:
        Mean loss, weighted by names; nats per name if it is the cross-entropy.

    Raises:
        ValueError: If there is no minibatch, or an argument is not as said.
        FloatingPointError: If a loss or a gradient stops being finite. That step is not
            taken.

    Example:
        >>> from companion.classifier import NameClassifier
        >>> model = NameClassifier(nn.GRU(59, 8), num_classes=2)
        >>> names = [(tensor([[8, 1], [19, 0]]), tensor([2, 1]), tensor([0, 1]))]
        >>> optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        >>> train_on_names(model, names, optimiser) > 0
        True
    """
    checks.optimiser(optimiser, model)
    checks.above_zero(max_norm=max_norm)
    checks.kind("minibatches", minibatches, Iterable, "ids, lengths and labels, each")
    checks.kind("objective", objective, (Callable, type(None)), "a function, or None")
    model.train()
    total = count = 0
    for step, minibatch in enumerate(minibatches, start=1):
        padded, lengths, labels = check_minibatch(minibatch)
        if objective is None:
            logits = model(padded, lengths)
            labels = checks.ids(labels, logits.shape[1], name="labels")
            loss = F.cross_entropy(wide(logits), labels.to(logits.device))
        else:
            loss = objective(padded, lengths, labels)
        value, _ = take_step(model, loss, optimiser, max_norm, f"step {step}")
        total += len(labels) * value
        count += len(labels)
    if not count:
        raise ValueError("minibatches is empty; accepted: at least one")
    return total / count


def check_minibatch(minibatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, lengths and labels; refuse what are none, or do not fit."""
    accepted = "ids, lengths and labels"
    parts = checks.as_list("an entry of minibatches", minibatch, accepted)
    if len(parts) != 3:
        checks.refuse("an entry of minibatches", minibatch, accepted)
    padded, lengths = arguments.padded(*parts[:2], len(ALPHABET))
    labels = checks.as_ids(parts[2], name="labels", dims=1)
    if len(labels) != len(lengths):
        raise ValueError(
            f"minibatches: {len(lengths)} names, {len(labels)} labels; accepted: as "
            "many of each"
        )
    return padded, lengths, labels
