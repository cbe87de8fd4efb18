"""The baseline to beat: n-gram models, with interpolated Witten-Bell smoothing."""

import math
import sys

import torch
from torch import Tensor

from companion.support import checks


class NGramModel:
    """What all n-gram models share: the tables, and how they are read.

    A text is a string, one character for each id, since slices of a string are cheap to
    cut and to look up. For each length of context there is a table: context -> some
    sums over the counts, and the counts of the tokens after it. A model says how a
    token is counted and how a context changes the prediction of the shorter ones.
    """

    def __init__(self, ids: Tensor, order: int, vocab_size: int):
        checks.sizes(order=order, vocab_size=vocab_size)
        if vocab_size > sys.maxunicode:
            checks.refuse("vocab_size", vocab_size, f"up to {sys.maxunicode}")
        self.order, self.vocab_size = order, vocab_size
        text = self._read(ids)
        if not text:
            raise ValueError("ids is empty; accepted: at least one token")
        self._tables: list[dict[str, tuple[list[int], dict[str, int]]]] = [
            {} for _ in range(order)
        ]
        for i in range(len(text)):
            self._count(text, i)

    @property
    def size(self) -> int:
        """How many counts above zero the tables hold."""
        return sum(len(c) for table in self._tables for _, c in table.values())

    def _read(self, ids: Tensor) -> str:
        return "".join(map(chr, checks.ids(ids, self.vocab_size, dims=1).tolist()))

    def _count(self, text: str, i: int) -> None:
        """Count token i of a text after its contexts."""
        raise NotImplementedError

    def _refine(self, p: float, length: int, sums: list, counts: dict, token: str):
        """Return the probability of a token after a context whose entry is given.

        ``p`` is what the next shorter context says, ``length`` that of the context.
        """
        raise NotImplementedError

    def _probability(self, text: str, i: int, token: str) -> float:
        """Return the probability of a token after the first i tokens of a text."""
        p = 1 / self.vocab_size
        for length in range(min(self.order - 1, i) + 1):
            entry = self._tables[length].get(text[i - length : i])
            if entry is None:  # then no longer context was seen either
                break
            p = self._refine(p, length, *entry, token)
        return p

    def distribution(self, context: Tensor) -> Tensor:
        """Return the probability of every token after a context.

        Args:
            context: Ids, shape ``(m,)``, m at least 0; the last ``order - 1`` count.

        Returns:
            float64, shape ``(V,)``, sums to 1.

        Raises:
            ValueError: If an id is outside ``0 ... V-1``.
        """
        text = self._read(context)
        tokens = map(chr, range(self.vocab_size))
        p = [self._probability(text, len(text), token) for token in tokens]
        return torch.tensor(p, dtype=torch.float64)

    def probabilities(self, ids: Tensor, *, learn: bool = False) -> Tensor:
        """Return the probability given to each token of a text but the first.

        Args:
            ids: The text, shape ``(n,)``, n at least 2. Each token is predicted from
                those before it, the first few from shorter contexts.
            learn: Whether each token is counted as soon as it has been scored, as the
                training text was; discounts stay as they are. **The model changes**:
                score one text once, with a model made for it.

        Returns:
            float64, shape ``(n - 1,)``. Its mean negative logarithm is the
            cross-entropy in nats per token.

        Raises:
            ValueError: If there are fewer than two ids or one is outside 0 ... V-1.
        """
        checks.flags(learn=learn)
        text = self._read(ids)
        if len(text) < 2:
            raise ValueError(f"ids holds {len(text)} tokens; accepted: 2 or more")
        p = []
        for i in range(1, len(text)):
            p.append(self._probability(text, i, text[i]))
            if learn:
                self._count(text, i)
        return torch.tensor(p, dtype=torch.float64)


class WittenBell(NGramModel):
    """Predicts a token from the ``order - 1`` tokens before it, by counting.

    With ``c(h, w)`` the count of token w after context h, ``c(h)`` their sum and
    ``d(h)`` the number of distinct tokens seen after h::

        P(w | h) = (c(h, w) + d(h) P(w | h')) / (c(h) + d(h)),

    where h' is h without its oldest token. A context that was never seen hands over to
    h' entirely; below the empty context stands the uniform distribution ``1 / V``.

    Two numbers may be tuned on held-out text: with a discount D and a scale s, each
    count gives D away, and what is handed to h' weighs ``s d(h)`` besides::

        P(w | h) = (max(c(h, w) - D, 0) + (s + D) d(h) P(w | h')) / (c(h) + s d(h)).

    Args:
        ids: Training text, integer, shape ``(n,)``, n at least 1.
        order: 1 for unigrams, 2 for bigrams, and so on.
        vocab_size: V.
        discount: D, from 0 to 1.
        scale: s, at least 0; 1 with D = 0 is Witten-Bell.

    Raises:
        ValueError: If ``order`` or ``vocab_size`` is not an integer from 1 up, V is
            above 1,114,111, the discount is not in [0, 1], the scale is negative,
            infinite or zero together with the discount, or ``ids`` is empty, not a
            vector of integers, or holds an id outside ``0 ... V-1``.

    Source:
        Moffat (1990), escape method C, surveyed by Witten and Bell (1991); in this
        interpolated form, Chen and Goodman (1999).
    """

    def __init__(
        self,
        ids: Tensor,
        order: int,
        vocab_size: int,
        *,
        discount: float = 0.0,
        scale: float = 1.0,
    ):
        checks.number("discount", discount, "0 to 1", lambda D: 0 <= D <= 1)
        # With neither, what was never seen would have no probability.
        least, accepted = (0 if discount else 5e-324), "0 or more, not 0 without D"
        checks.number("scale", scale, accepted, lambda s: least <= s < math.inf)
        self.discount, self.scale = discount, scale
        super().__init__(ids, order, vocab_size)

    def _count(self, text: str, i: int) -> None:
        for length in range(min(self.order - 1, i) + 1):
            table, context = self._tables[length], text[i - length : i]
            if context not in table:
                table[context] = [0], {}
            sums, counts = table[context]
            counts[text[i]] = counts.get(text[i], 0) + 1
            sums[0] += 1

    def _refine(self, p, length, sums, counts, token):
        distinct, kept = len(counts), max(counts.get(token, 0) - self.discount, 0)
        passed_on = (self.scale + self.discount) * distinct
        return (kept + passed_on * p) / (sums[0] + self.scale * distinct)
