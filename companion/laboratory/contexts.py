"""The contexts of a training text, numbered: what direct connections look up."""

import math

import torch
from torch import Tensor

from companion.support import checks


class Contexts:
    """Numbers the contexts of a training text: everything up to some length in it.

    Row 0 stands for a context that the beginning of a text cuts short. What does not
    occur in the training text is spread over spare rows by a hash: they stay at zero in
    training, and are there for a model that goes on learning.

    Args:
        ids: Training text, integer, shape ``(n,)``.
        longest: Tokens of the longest contexts, L; the shortest have one.
        vocab_size: V.
        spare: Rows for what is new.

    Attributes:
        size: Rows in all.
        counts: How often the context of each row occurs in the training text; 1 for
            row 0 and the spare rows. float32, shape ``(size,)``.

    Raises:
        ValueError: If ``longest``, ``vocab_size`` or ``spare`` is below 1, ``V ** L``
            needs more than 62 bits, or ``ids`` is not a vector of ids or not longer
            than ``longest``.
    """

    def __init__(self, ids: Tensor, longest: int, vocab_size: int, spare: int = 2**15):
        checks.sizes(longest=longest, vocab_size=vocab_size, spare=spare)
        if longest * math.log2(vocab_size) >= 62:
            accepted = "one with fewer than 2 ** 62 contexts"
            checks.refuse("longest", longest, f"{accepted} of {vocab_size} tokens")
        ids = checks.ids(ids, vocab_size, dims=1)
        if len(ids) <= longest:
            raise ValueError(f"ids holds {len(ids)} tokens; accepted: over {longest}")
        self.longest, self.vocab_size, self.spare = longest, vocab_size, spare
        self._known, self._first = [], []
        counts = [torch.ones(1, device=ids.device)]
        size, code = 1, torch.zeros_like(ids)
        for length in range(1, longest + 1):
            # The last `length` ids as the digits of a number, at every position but
            # the last, which nothing follows.
            shifted = torch.zeros_like(ids)
            shifted[length - 1 :] = ids[: len(ids) - length + 1]
            code = code + shifted * vocab_size ** (length - 1)
            known, count = code[length - 1 : -1].unique(return_counts=True)
            self._known.append(known)
            self._first.append(size)
            counts.append(count.float())
            size += len(known)
        self.size = size + spare
        self.counts = torch.cat([*counts, counts[0].expand(spare)])

    def begin(self, batch_size: int) -> Tensor:
        """Return what precedes a text: nothing, written as -1, shape ``(N, L - 1)``."""
        checks.sizes(batch_size=batch_size)
        return torch.full((batch_size, self.longest - 1), -1)

    def rows(self, ids: Tensor, before: Tensor) -> Tensor:
        """Look up the contexts that end at each token.

        Args:
            ids: Shape ``(N, T)``.
            before: The ``L - 1`` ids before them, shape ``(N, L - 1)``, -1 for none.

        Returns:
            Rows of the contexts of length 1 ... L, shape ``(N, T, L)``.

        Raises:
            ValueError: If ``ids`` or ``before`` has another shape or holds something
                else.
        """
        ids = checks.ids(ids, self.vocab_size, dims=2)
        both = torch.cat(
            [self.check_before(before, len(ids), "before").to(ids), ids], 1
        )
        code, cut_short, found = torch.zeros_like(ids), False, []
        for length in range(1, self.longest + 1):
            start = self.longest - length
            digit = both[:, start : start + ids.shape[1]]
            cut_short = cut_short | (digit < 0)
            code = code + digit.clamp(min=0) * self.vocab_size ** (length - 1)
            known = self._known[length - 1].to(ids.device)
            place = torch.searchsorted(known, code).clamp(max=len(known) - 1)
            new = (code * 2_654_435_761 + length * 40_503) % self.spare
            row = torch.where(
                known[place] == code,
                place + self._first[length - 1],
                new + self.size - self.spare,
            )
            found.append(row.masked_fill(cut_short, 0))
        return torch.stack(found, -1)

    def check_before(self, before: Tensor, batch_size: int, name: str) -> Tensor:
        """Return what precedes a text; refuse anything else, by its name."""
        before, shape = checks.as_ids(before, name=name), (batch_size, self.longest - 1)
        inside = (before.long() + 1).clamp(0, self.vocab_size) == before.long() + 1
        if before.shape != shape or before.is_meta or not inside.all():
            accepted = f"ids of shape {shape}, -1 for none, up to {self.vocab_size - 1}"
            checks.refuse(name, before, accepted)
        return before
