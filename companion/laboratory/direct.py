"""Direct connections: a recurrent language model that also looks its context up."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.laboratory.ngram import _tokens
from companion.language_model import LanguageModel


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
        for name, value in (
            ("longest", longest),
            ("vocab_size", vocab_size),
            ("spare", spare),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}; accepted: 1 or more")
        if vocab_size**longest >= 2**62:
            raise ValueError(
                f"{vocab_size} ** {longest} contexts; accepted: fewer than 2 ** 62"
            )
        if len(_tokens(ids, vocab_size)) <= longest:
            raise ValueError(f"ids holds {len(ids)} tokens; accepted: over {longest}")
        self.longest, self.vocab_size, self.spare = longest, vocab_size, spare
        self._known, self._first, counts = [], [], [torch.ones(1)]
        size, code = 1, torch.zeros(len(ids), dtype=torch.int64)
        for length in range(1, longest + 1):
            # The last `length` ids as the digits of a number, at every position but
            # the last, which nothing follows.
            code = code[: len(ids)] + 0
            shifted = ids.new_zeros(len(ids), dtype=torch.int64)
            shifted[length - 1 :] = ids[: len(ids) - length + 1]
            code += shifted * vocab_size ** (length - 1)
            known, count = code[length - 1 : -1].unique(return_counts=True)
            self._known.append(known)
            self._first.append(size)
            counts.append(count.float())
            size += len(known)
        self.size = size + spare
        self.counts = torch.cat([*counts, torch.ones(spare)])

    def begin(self, batch_size: int) -> Tensor:
        """Return what precedes a text: nothing, written as -1, shape ``(N, L - 1)``."""
        return torch.full((batch_size, self.longest - 1), -1)

    def rows(self, ids: Tensor, before: Tensor) -> Tensor:
        """Look up the contexts that end at each token.

        Args:
            ids: Shape ``(N, T)``.
            before: The ``L - 1`` ids before them, shape ``(N, L - 1)``, -1 for none.

        Returns:
            Rows of the contexts of length 1 ... L, shape ``(N, T, L)``.
        """
        T, both = ids.shape[1], torch.cat([before, ids], 1)
        code, cut_short, found = torch.zeros_like(ids), False, []
        for length in range(1, self.longest + 1):
            start = self.longest - length
            digit = both[:, start : start + T]
            cut_short = cut_short | (digit < 0)
            code = code + digit.clamp(min=0) * self.vocab_size ** (length - 1)
            known = self._known[length - 1]
            place = torch.searchsorted(known, code).clamp(max=len(known) - 1)
            new = (code * 2_654_435_761 + length * 40_503) % self.spare
            row = torch.where(
                known[place] == code,
                place + self._first[length - 1],
                new + self.size - self.spare,
            )
            found.append(row.masked_fill(cut_short, 0))
        return torch.stack(found, -1)


class DirectLanguageModel(LanguageModel):
    """A recurrent language model with direct connections from the last L tokens.

    Each context of length 1 ... L that the training text knows owns a row of V numbers,
    zero at first. They are added to the logits of the recurrent network, each as far
    as a gate lets it, which sees the state and which rows have learned anything::

        O_t = H_t W_hq + b_q + sum over k of G_tk E[row(x_(t-k+1) ... x_t)],
        G_t = 2 sigmoid(H_t W_hg + S_t W_sg + b_g),

    with S_tk = 1 where the row of length k is not zero, else 0.

    *Cross-fitting.* A row learns by heart what followed its context. A network that
    reads it at the very place where it learned finds little left to explain, and learns
    little. So the sequences of a minibatch are dealt out to F folds, and there are
    1 + F tables: in training, the network reads fold j through table j, which learns
    from all folds but j. Table 0 learns from every fold, and is the one that is read
    when training is over.

    Args:
        layer: The recurrent layer, as for
            :class:`~companion.language_model.LanguageModel`.
        contexts: The rows.
        folds: F, at least 2; or 0: one table, read where it learns.
        options: Those of ``LanguageModel``.

    Attributes:
        tables: Shape ``((1 + F) * size, V)``, one table below the other. Their gradient
            is sparse.
        W_hg: Shape ``(H, L)``, zero at first, as are all three: every gate is 1.
        W_sg: Shape ``(L, L)``.
        b_g: Shape ``(L,)``.

    Raises:
        ValueError: If ``folds`` is 1 or negative, and as ``LanguageModel``.
    """

    def __init__(self, layer: nn.Module, contexts: Contexts, folds: int = 2, **options):
        super().__init__(layer, contexts.vocab_size, **options)
        if folds < 0 or folds == 1:
            raise ValueError(f"folds is {folds}; accepted: 0, 2 or more")
        self.contexts, self.folds = contexts, folds
        L, (H, V) = contexts.longest, self.W_hq.shape
        self.tables = nn.Parameter(self.b_q.new_zeros((1 + folds) * contexts.size, V))
        self.W_hg = nn.Parameter(self.b_q.new_zeros(H, L))
        self.W_sg = nn.Parameter(self.b_q.new_zeros(L, L))
        self.b_g = nn.Parameter(self.b_q.new_zeros(L))

    def _read(self, ids: Tensor, state) -> tuple[Tensor, Tensor, tuple]:
        """Return the outputs of the layer, the rows ``(T, N, L)`` and the new state."""
        before, inner = state or (self.contexts.begin(len(ids)), None)
        outputs, inner = self._hidden(ids, inner)
        rows = self.contexts.rows(ids, before).transpose(0, 1)
        before = torch.cat([before, ids], 1)[:, ids.shape[1] :]
        return outputs, rows, (before, inner)

    def _look_up(self, rows: Tensor, table: int | Tensor = 0) -> Tensor:
        """Return the entries of rows ``(T, N, L)`` as ``(T*N, L, V)``."""
        rows = (rows + table * self.contexts.size).reshape(-1, rows.shape[-1])
        return F.embedding(rows, self.tables, sparse=True)

    def _own(self, outputs: Tensor) -> Tensor:
        """Return the logits of the recurrent network by itself, ``(T*N, V)``."""
        return torch.addmm(self.b_q, outputs, self.W_hq)

    def _gated(self, outputs: Tensor, entries: Tensor) -> Tensor:
        """Return what the direct connections add, ``(T*N, V)``."""
        learned = entries.detach().abs().amax(-1).gt(0).to(outputs)
        gates = 2 * torch.sigmoid(outputs @ self.W_hg + learned @ self.W_sg + self.b_g)
        return (gates[:, :, None] * entries).sum(1)

    def forward(self, ids: Tensor, state=None):
        """Score every vocabulary entry as the next token, at every time step.

        Args:
            ids: Token ids, integer, shape ``(N, T)``.
            state: What an earlier call returned; None begins anew.

        Returns:
            Logits, shape ``(T*N, V)``, step after step, from table 0, and the new
            state: the last ``L - 1`` ids, and the state of the recurrent layer.

        Raises:
            ValueError: As ``LanguageModel``.
        """
        outputs, rows, state = self._read(ids, state)
        return self._own(outputs) + self._gated(outputs, self._look_up(rows)), state

    def losses(self, X: Tensor, Y: Tensor, state=None):
        """Measure a minibatch for training, or in evaluation mode for learning on.

        In evaluation mode, and with F = 0, table 0 is both read and learns.

        Args:
            X: Ids, shape ``(N, T)``, N at least F.
            Y: The same, one token later.
            state: What the minibatch before returned; None begins anew.

        Returns:
            The cross-entropy of the network, in nats per token, whose gradient reaches
            everything but the tables; the cross-entropies of the network with each
            table that learns and its gates open (1), summed, whose gradient reaches the
            tables alone; the penalty on the rows that learn, summed likewise: the mean
            over the tokens of ``sum(E[row] ** 2) / counts[row]``; and the new state.
        """
        outputs, rows, state = self._read(X, state)
        targets, own = Y.T.reshape(-1), self._own(outputs)
        reads, learn = 0, [0]
        if self.training and self.folds:
            fold = torch.arange(len(X), device=X.device) * self.folds // len(X)
            reads = 1 + fold[:, None]
            learn += [1 + (reads - 1 + k) % self.folds for k in range(1, self.folds)]
        with torch.no_grad():
            entries = self._look_up(rows, reads)
        loss = F.cross_entropy(own + self._gated(outputs, entries), targets)
        weights = 1 / self.contexts.counts.to(own)[rows.reshape(len(own), -1)]
        of_tables = penalty = loss.new_zeros(())
        for table in learn:
            entries = self._look_up(rows, table)
            logits = own.detach() + entries.sum(1)
            of_tables = of_tables + F.cross_entropy(logits, targets)
            penalty = penalty + (entries.square().sum(-1) * weights).sum() / len(own)
        return loss, of_tables, penalty, state
