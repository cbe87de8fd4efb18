"""The baseline to beat: an n-gram model with interpolated Witten-Bell smoothing."""

import math
from collections import Counter, defaultdict

import torch
from torch import Tensor

from companion.checks import check_flags, check_number, check_sizes, check_text


class WittenBell:
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
        ValueError: If ``order`` or ``vocab_size`` is not an integer from 1 up, the
            discount is not in [0, 1], the scale is negative, infinite or zero together
            with the discount, or ``ids`` is empty, not a vector of integers, or holds
            an id outside ``0 ... V-1``.

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
        check_sizes(order=order, vocab_size=vocab_size)
        check_number("discount", discount, "0 to 1", lambda D: 0 <= D <= 1)
        # With neither, what was never seen would have no probability.
        least, accepted = (0 if discount else 5e-324), "0 or more, not 0 without D"
        check_number("scale", scale, accepted, lambda s: least <= s < math.inf)
        self.discount, self.scale = discount, scale
        tokens = _tokens(ids, vocab_size)
        if not tokens:
            raise ValueError("ids is empty; accepted: at least one token")
        self.order, self.vocab_size = order, vocab_size
        # For each length of context: context -> counts of the tokens that followed.
        self._followers: list[dict[tuple, Counter]] = []
        for length in range(order):
            table: dict[tuple, Counter] = defaultdict(Counter)
            for i in range(length, len(tokens)):
                table[tuple(tokens[i - length : i])][tokens[i]] += 1
            self._followers.append(dict(table))
        self._totals = [
            {context: counts.total() for context, counts in table.items()}
            for table in self._followers
        ]

    @property
    def size(self) -> int:
        """How many counts above zero the tables hold."""
        return sum(len(c) for table in self._followers for c in table.values())

    def _probability(self, context: tuple, token: int) -> float:
        p = 1 / self.vocab_size
        for length in range(min(self.order - 1, len(context)) + 1):
            h = context[len(context) - length :]
            followers = self._followers[length].get(h)
            if followers is None:  # then no longer context was seen either
                break
            distinct, total = len(followers), self._totals[length][h]
            kept = max(followers[token] - self.discount, 0)
            passed_on = (self.scale + self.discount) * distinct
            p = (kept + passed_on * p) / (total + self.scale * distinct)
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
        tokens = tuple(_tokens(context, self.vocab_size))
        probabilities = [self._probability(tokens, w) for w in range(self.vocab_size)]
        return torch.tensor(probabilities, dtype=torch.float64)

    def probabilities(self, ids: Tensor, *, learn: bool = False) -> Tensor:
        """Return the probability given to each token of a text but the first.

        Args:
            ids: The text, shape ``(n,)``, n at least 2. Each token is predicted from
                those before it, the first few from shorter contexts.
            learn: Whether each token is counted as soon as it has been scored, as the
                training text was. **The model changes**: score one text once, with a
                model made for it.

        Returns:
            float64, shape ``(n - 1,)``. Its mean negative logarithm is the
            cross-entropy in nats per token.

        Raises:
            ValueError: If there are fewer than two ids or one is outside 0 ... V-1.
        """
        check_flags(learn=learn)
        tokens = _tokens(ids, self.vocab_size)
        if len(tokens) < 2:
            raise ValueError(f"ids holds {len(tokens)} tokens; accepted: 2 or more")
        reach, p = self.order - 1, []
        for i in range(1, len(tokens)):
            context = tuple(tokens[max(0, i - reach) : i])
            p.append(self._probability(context, tokens[i]))
            if learn:
                for start in range(len(context) + 1):
                    self._count(context[start:], tokens[i])
        return torch.tensor(p, dtype=torch.float64)

    def _count(self, context: tuple, token: int) -> None:
        followers = self._followers[len(context)].setdefault(context, Counter())
        followers[token] += 1
        totals = self._totals[len(context)]
        totals[context] = totals.get(context, 0) + 1


def _tokens(ids: Tensor, vocab_size: int) -> list[int]:
    return check_text(ids, vocab_size).tolist()
