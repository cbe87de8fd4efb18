"""The strongest of the classic counting models: interpolated modified Kneser-Ney."""

from torch import Tensor

from companion.laboratory.ngram import NGramModel


class KneserNey(NGramModel):
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
        super().__init__(ids, order, vocab_size)
        self.discounts = [_discounts(table) for table in self._tables]

    def _count(self, text: str, i: int) -> None:
        """Count token i after each of its contexts, the longest first."""
        for length in range(min(self.order - 1, i), -1, -1):
            table, context = self._tables[length], text[i - length : i]
            if context not in table:  # c(h), d_1, d_2 and d_3
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

    def _refine(self, p, length, sums, counts, token):
        (total, *numbers), discounts = sums, self.discounts[length]
        count = counts.get(token, 0)
        passed_on = sum(D * d for D, d in zip(discounts, numbers, strict=True))
        kept = count - discounts[min(count, 3) - 1] if count else 0
        return (kept + passed_on * p) / total


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
