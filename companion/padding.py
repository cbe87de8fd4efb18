"""Minibatches of names of different lengths: padded, packed, dealt out in buckets."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_sequence

from companion.checks import check_sizes


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put ids of different lengths into one matrix, time first.

    Args:
        sequences: N tensors of ids, shape ``(n,)`` each.

    Returns:
        int64, shape ``(T, N)``, T being the greatest length, with zeros after the end
        of a sequence (zero is the id of ``a``, too: only the lengths tell where a name
        ends), and the lengths, int64, shape ``(N,)``, on the CPU.

    Raises:
        ValueError: If there is no sequence, or an empty one.
    """
    lengths = tensor([len(sequence) for sequence in sequences])
    if not len(lengths) or not lengths.min():
        raise ValueError(
            f"sequences have lengths {lengths.tolist()}; accepted: 1 or more, of at "
            "least one sequence"
        )
    return pad_sequence(list(sequences)), lengths


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
        labels: Label of each.
        batch_size: N; the last minibatch of the last bucket may be smaller.
        bucket: Minibatches of a bucket.
        generator: Shuffles; None uses PyTorch's global one.

    Yields:
        Padded ids ``(T, N)``, lengths ``(N,)``, labels ``(N,)``, all int64.

    Raises:
        ValueError: If there are not as many labels as sequences, none at all, or if a
            size is below 1.
    """
    if len(sequences) != len(labels) or not sequences:
        raise ValueError(
            f"{len(sequences)} sequences, {len(labels)} labels; accepted: as many of "
            "each, at least one"
        )
    check_sizes(batch_size=batch_size, bucket=bucket)
    order = torch.randperm(len(sequences), generator=generator).tolist()
    cut = []
    for start in range(0, len(order), bucket * batch_size):
        places = order[start : start + bucket * batch_size]
        if bucket > 1:
            places.sort(key=lambda place: len(sequences[place]))
        cut += [places[i : i + batch_size] for i in range(0, len(places), batch_size)]
    for number in torch.randperm(len(cut), generator=generator).tolist():
        padded, lengths = pad([sequences[place] for place in cut[number]])
        yield padded, lengths, tensor([labels[place] for place in cut[number]])


def pack(ids: Tensor, lengths: Tensor) -> PackedSequence:
    """Pack padded ids, in any order of their lengths.

    Args:
        ids: Shape ``(T, N)``, as :func:`pad` returns them.
        lengths: int64, shape ``(N,)``, on the CPU, 1 ... T.

    Returns:
        The characters of step 0 of all names, then those of step 1, and so on, without
        the padding.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    if ids.dim() != 2 or lengths.shape != ids.shape[1:]:
        raise ValueError(
            f"ids has shape {tuple(ids.shape)}, lengths {tuple(lengths.shape)}; "
            "accepted: (T, N) and (N,)"
        )
    return pack_padded_sequence(ids, lengths, enforce_sorted=False)
