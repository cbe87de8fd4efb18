"""From raw text to token ids: cleaning, the vocabulary, one-hot encoding."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from companion.support import checks

UNKNOWN = "<unk>"


def clean_lines(text: str) -> list[str]:
    r"""Write A-Z and a-z in lower case, and one space for what stands between them.

    Args:
        text: Any text; lines end in ``"\n"``.

    Returns:
        One string for each line, empty where the line held no letter.

    Raises:
        ValueError: If ``text`` is not a string.

    Example:
        >>> clean_lines("The Time Traveller,\n1895:")
        ['the time traveller', '']
    """
    checks.kind("text", text, str, "a string")
    return [
        re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.split("\n")
    ]


def clean(text: str, join: str = " ") -> str:
    r"""Turn raw text into one stream of character tokens.

    Args:
        text: Any text; lines end in ``"\n"``.
        join: What stands between two lines. The default keeps words apart. With
            ``""`` the last word of a line fuses with the first of the next: the classic
            form of this corpus, kept to reproduce those results.

    Returns:
        The cleaned, non-empty lines, joined. Each character is a token.

    Raises:
        ValueError: If ``join`` or ``text`` is not as said.

    Example:
        >>> clean("Time:\n1895 Travels")
        'time travels'
    """
    checks.kind("text", text, str, "a string")
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

    Attributes:
        tokens: All tokens, in the order of their ids.
        counts: How often each token was seen, left-out ones included.

    Raises:
        ValueError: If ``min_count`` is below 1, or a token is not a string.

    Example:
        >>> vocab = Vocab("banana")
        >>> vocab.tokens, vocab.encode("nab").tolist(), vocab.decode([3, 1, 2])
        (('<unk>', 'a', 'n', 'b'), [2, 1, 3], 'ban')
    """

    unk = 0

    def __init__(self, tokens: Iterable[str], *, min_count: int = 1):
        checks.sizes(min_count=min_count)
        self.counts = Counter(_taken(tokens))
        common = self.counts.most_common()
        kept = [t for t, count in common if count >= min_count and t != UNKNOWN]
        self.tokens = (UNKNOWN, *kept)
        self._ids = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        """Return V, the number of tokens, ``<unk>`` included."""
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        """Tell whether the token has an id of its own."""
        return isinstance(token, str) and token in self._ids

    def encode(self, tokens: Iterable[str]) -> Tensor:
        """Look up the id of each token; a token without one gets ``unk``.

        Args:
            tokens: n tokens; a string is read as its characters.

        Returns:
            Ids, int64, shape ``(n,)``.

        Raises:
            ValueError: If a token is not a string.
        """
        ids = [self._ids.get(token, self.unk) for token in _taken(tokens)]
        return torch.tensor(ids, dtype=torch.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Join the tokens that the ids stand for.

        Args:
            ids: n ids, a one-dimensional integer tensor or any iterable of int.

        Returns:
            The n tokens, joined without a separator.

        Raises:
            ValueError: If ``ids`` holds anything but integers in 0 ... V-1.
        """
        if isinstance(ids, Iterator):
            ids = list(ids)
        ids = checks.ids(ids, len(self), dims=1)
        return "".join(self.tokens[i] for i in ids.tolist())


def _taken(tokens: Iterable[str]) -> Iterable[str]:
    if isinstance(tokens, str):
        return tokens
    return checks.as_strings("tokens", tokens, "a string or a list of strings")


def one_hot(
    ids: Tensor, num_classes: int, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Write each id as a row with a single one: ``out[..., j] = 1 if j == id else 0``.

    Unlike ``torch.nn.functional.one_hot`` it accepts every integer dtype and
    returns floating-point numbers, ready for a matrix product.

    Args:
        ids: Integers in 0 ... num_classes-1, any shape.
        num_classes: Length of a row (V for token ids).
        dtype: Floating-point dtype of the result; by default PyTorch's.

    Returns:
        Shape ``(*ids.shape, num_classes)``, on the device of ``ids``.

    Raises:
        ValueError: If an argument is not as said.

    Example:
        >>> one_hot(torch.tensor([2, 0]), 3)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    ids = checks.ids(ids, num_classes)
    checks.place(dtype=dtype)
    rows = torch.zeros(*ids.shape, num_classes, dtype=dtype, device=ids.device)
    return rows.scatter_(-1, ids.unsqueeze(-1), 1)
