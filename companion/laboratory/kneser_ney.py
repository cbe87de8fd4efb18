"""The strongest of the classic counting models: interpolated modified Kneser-Ney."""

import sys

import torch
from torch import Tensor

from companion.checks import check_flags, check_sizes, check_text, refuse


class KneserNey:
    """Predicts a token from the ``order - 1`` tokens before it, by counting.

    A context h of full length holds how often each token w followed it. A shorter
    context holds *continuation counts*: in how many different ways ``h w`` was extended
    to the left by one token (the beginning of a text is one more way). Then, with
    ``c(h, w)`` this count, ``c(h)`` the sum and ``d_k(h)`` how many tokens have the
    count k, 3 standing for 3 or more::

        P(w | h) = (c(h, w) - D(c(h, w)) + g(h) P(w | h')) / c(h),
        g(h) = D1 d_1(h) + D2 d_2(h) + D3 d_3(h),

    where D(0) = 0 and h' is h without its oldest token. Below the empty context stands
    ``1 / V``; a context never seen hands over to h' entirely. For each length of
    context, with n_k of its counts equal to k and Y = n_1 / (n_1 + 2 n_2)::

        D_k = k - (k + 1) Y n_(k+1) / n_k    for k = 1, 2, 3.

    Where that is not defined or leaves [0, k], as with few counts, the three discounts
    of that length are 0.5, 1 and 1.5.

    Args:
        ids: Training text, integer, shape ``(n,)``, n at least 1.
        order: 1 for unigrams, 2 for bigrams, and so on.
        vocab_size: V.

    Attributes:
        discounts: For each length of context, from 0 to ``order - 1``, D1, D2 and D3.

    Raises:
        ValueError: If ``order`` or ``vocab_size`` is not an integer from 1 up, V is
            above 1,114,111, or ``ids`` is empty, not a vector of integers, or holds an
            id outside ``0 ... V-1``.

    Source:
        Kneser and Ney (1995); modified and interpolated, Chen and Goodman (1999).
    """

    def __init__(self, ids: Tensor, order: int, vocab_size: int):
        check_sizes(order=order, vocab_size=vocab_size)
        if vocab_size > sys.maxunicode:
            refuse("vocab_size", vocab_size, f"up to {sys.maxunicode}")
        text = _characters(ids, vocab_size)
        if not text:
            raise ValueError("ids is empty; accepted: at least one token")
        self.order, self.vocab_size = order, vocab_size
        # For each length: context -> [c(h), d_1, d_2, d_3] and the counts of tokens.
        self._tables: list[dict[str, tuple[list[int], dict[str, int]]]] = [
            {} for _ in range(order)
        ]
        for i in range(len(text)):
            self._count(text, i)
        self.discounts = [_discounts(table) for table in self._tables]

    @property
    def size(self) -> int:
        """How many counts above zero the tables hold."""
        return sum(len(c) for table in self._tables for _, c in table.values())

    def _count(self, text: str, i: int) -> None:
        """Count token i after each of its contexts, the longest first."""
        for length in range(min(self.order - 1, i), -1, -1):
            table, context = self._tables[length], text[i - length : i]
            if context not in table:
                table[context] = [0, 0, 0, 0], {}
            sums, counts = table[context]
            count = counts.get(text[i], 0)
            counts[text[i]] = count + 1
            sums[0] += 1
            if 0 < count < 3:
                sums[count] -= 1
            if count < 3:
                sums[count + 1] += 1
            if count:  # no new way of extending the shorter ones to the left
                break

    def _probability(self, text: str, i: int, token: str) -> float:
        """Return the probability of a token after the i tokens before it."""
        p = 1 / self.vocab_size
        for length in range(min(self.order - 1, i) + 1):
            entry = self._tables[length].get(text[i - length : i])
            if entry is None:  # then no longer context was seen either
                break
            (total, *numbers), counts = entry
            discounts, count = self.discounts[length], counts.get(token, 0)
            passed_on = sum(D * d for D, d in zip(discounts, numbers, strict=True))
            kept = count - discounts[min(count, 3) - 1] if count else 0
            p = (kept + passed_on * p) / total
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
        text = _characters(context, self.vocab_size)
        tokens = map(chr, range(self.vocab_size))
        p = [self._probability(text, len(text), token) for token in tokens]
        return torch.tensor(p, dtype=torch.float64)

    def probabilities(self, ids: Tensor, *, learn: bool = False) -> Tensor:
        """Return the probability given to each token of a text but the first.

        Args:
            ids: The text, shape ``(n,)``, n at least 2. Each token is predicted from
                those before it, the first few from shorter contexts.
            learn: Whether each token is counted as soon as it has been scored, as the
                training text was; the discounts stay. **The model changes**: score
                one text once, with a model made for it.

        Returns:
            float64, shape ``(n - 1,)``. Its mean negative logarithm is the
            cross-entropy in nats per token.

        Raises:
            ValueError: If there are fewer than two ids or one is outside 0 ... V-1.
        """
        check_flags(learn=learn)
        text = _characters(ids, self.vocab_size)
        if len(text) < 2:
            raise ValueError(f"ids holds {len(text)} tokens; accepted: 2 or more")
        p = []
        for i in range(1, len(text)):
            p.append(self._probability(text, i, text[i]))
            if learn:
                self._count(text, i)
        return torch.tensor(p, dtype=torch.float64)


def _characters(ids: Tensor, vocab_size: int) -> str:
    """Write ids as a string, whose slices are cheap to cut and to look up."""
    return "".join(map(chr, check_text(ids, vocab_size).tolist()))


def _discounts(table: dict) -> tuple[float, float, float]:
    n = [0] * 5
    for _, counts in table.values():
        for count in counts.values():
            n[min(count, 5) - 1] += 1
    if n[0] and n[1] and n[2]:
        Y = n[0] / (n[0] + 2 * n[1])
        found = tuple(k - (k + 1) * Y * n[k] / n[k - 1] for k in (1, 2, 3))
        if all(0 <= D <= k for k, D in enumerate(found, 1)):
            return found
    return 0.5, 1.0, 1.5
