"""From raw text to token ids: cleaning, the vocabulary, one-hot encoding."""

import re
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

UNKNOWN = "<unk>"


def clean_lines(text: str) -> list[str]:
    r"""Reduce each line to lower-case letters and single spaces.

    Every run of characters other than A-Z and a-z becomes one space; blanks at
    both ends go.

    Args:
        text: Any text; lines end in ``"\n"``.

    Returns:
        One string for each line, empty where the line held no letter.
    """
    return [
        re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.split("\n")
    ]


def clean(text: str, join: str = " ") -> str:
    r"""Turn raw text into one stream of character tokens.

    Args:
        text: Any text; lines end in ``"\n"``.
        join: What stands between two lines. The default keeps words apart. With
            ``""`` the last word of a line fuses with the first of the next: the
            form in which this corpus is classically used, kept to reproduce
            those results and for nothing else.

    Returns:
        The cleaned, non-empty lines, joined. Each character is a token.

    Raises:
        ValueError: If ``join`` is neither ``" "`` nor ``""``.
    """
    if join not in (" ", ""):
        raise ValueError(f"join is {join!r}; accepted: ' ' or ''")
    return join.join(line for line in clean_lines(text) if line)


class Vocab:
    """A two-way table between tokens and ids, the most frequent token first.

    Id 0 is ``<unk>``, the stand-in for every token that the vocabulary lacks. Ties
    in frequency keep the order of first appearance.

    Args:
        tokens: The tokens to count; a string counts its characters.
        min_count: Tokens seen fewer times are left out.
        reserved: Tokens that get the ids after ``<unk>`` whatever their frequency.

    Attributes:
        tokens: All tokens, in the order of their ids.
        counts: How often each token was seen, left-out ones included.

    Raises:
        ValueError: If ``min_count`` is below 1 or a reserved token appears twice.
    """

    unk = 0

    def __init__(
        self, tokens: Iterable[str], *, min_count: int = 1, reserved: Iterable[str] = ()
    ):
        if min_count < 1:
            raise ValueError(f"min_count is {min_count}; accepted: 1 or more")
        first = [UNKNOWN, *reserved]
        if len(set(first)) < len(first):
            raise ValueError(
                f"reserved is {first[1:]}; accepted: distinct tokens other than "
                f"{UNKNOWN!r}"
            )
        self.counts = Counter(tokens)
        frequent = [
            token
            for token, count in self.counts.most_common()
            if count >= min_count and token not in first
        ]
        self.tokens = (*first, *frequent)
        self._ids = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        """Return V, the number of tokens, ``<unk>`` included."""
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        """Tell whether the token has an id of its own."""
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> Tensor:
        """Look up the id of each token; a token without one gets ``unk``.

        Args:
            tokens: n tokens; a string is read as its characters.

        Returns:
            Ids, int64, shape ``(n,)``.
        """
        ids = [self._ids.get(token, self.unk) for token in tokens]
        return torch.tensor(ids, dtype=torch.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Join the tokens that the ids stand for.

        Args:
            ids: n ids, a one-dimensional integer tensor or any iterable of int.

        Returns:
            The n tokens, joined without a separator.

        Raises:
            ValueError: If an id is not in 0 ... V-1.
        """
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < len(self):
                raise ValueError(f"id {i} is outside 0 ... {len(self) - 1}")
        return "".join(self.tokens[i] for i in ids)


def check_ids(ids: Tensor, num_classes: int) -> Tensor:
    """Refuse anything but integers in 0 ... num_classes-1, and return them as int64.

    Raises:
        ValueError: If ``ids`` does not hold integers, an id is out of range, or
            ``num_classes`` is below 1.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"ids has dtype {ids.dtype}; accepted: an integer dtype")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; accepted: 1 or more")
    ids = ids.long()  # a smaller dtype could not even hold num_classes
    if ids.numel() and not 0 <= ids.min() <= ids.max() < num_classes:
        raise ValueError(
            f"ids run from {ids.min()} to {ids.max()}; accepted: "
            f"0 ... {num_classes - 1} (num_classes is {num_classes})"
        )
    return ids


def one_hot(
    ids: Tensor, num_classes: int, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Write each id as a row with a single one: ``out[..., j] = 1 if j == id else 0``.

    Unlike ``torch.nn.functional.one_hot`` it accepts every integer dtype and
    returns floating-point numbers, ready for a matrix product.

    Args:
        ids: Integers in 0 ... num_classes-1, any shape.
        num_classes: Length of a row (V for token ids).
        dtype: dtype of the result; by default PyTorch's default dtype.

    Returns:
        Shape ``(*ids.shape, num_classes)``, on the device of ``ids``.

    Raises:
        ValueError: If ``ids`` does not hold integers, an id is out of range, or
            ``num_classes`` is below 1.
    """
    ids = check_ids(ids, num_classes)
    rows = torch.zeros(
        *ids.shape,
        num_classes,
        dtype=dtype or torch.get_default_dtype(),
        device=ids.device,
    )
    return rows.scatter_(-1, ids.unsqueeze(-1), 1)
