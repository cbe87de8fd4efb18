"""Direct connections: a recurrent language model that also looks its context up.

Each context that the training text knows owns a row of numbers that are added to the
logits. A row learns by heart what followed its context. A network that reads it at the
very place where it learned finds little left to explain, and learns little.
*Cross-fitting* keeps the two apart: the sequences of a minibatch are dealt out to F
folds, and there are 1 + F tables. In training, the network reads fold j through table
j, which learns from all folds but j. Table 0 learns from every fold, and is the one
that is read when training is over.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.laboratory.contexts import Contexts
from companion.language_model import LanguageModel
from companion.support import checks


class DirectLanguageModel(LanguageModel):
    """A recurrent language model with direct connections from the last L tokens.

    Each context of length 1 ... L that the training text knows owns a row of V numbers,
    zero at first. They are added to the logits of the recurrent network, each as far
    as a gate lets it, which sees the state and which rows have learned anything::

        O_t = H_t W_hq + b_q + sum over k of G_tk E[row(x_(t-k+1) ... x_t)],
        G_t = 2 sigmoid(H_t W_hg + S_t W_sg + b_g),

    with S_tk = 1 where the row of length k is not zero, else 0.

    Args:
        layer: As for :class:`~companion.language_model.LanguageModel`.
        contexts: The rows.
        folds: F, at least 2; or 0: one table, read where it learns.
        options: Those of ``LanguageModel``.

    Attributes:
        tables: Shape ``((1 + F) * size, V)``, one below the other; their gradient is
            sparse.
        W_hg, W_sg, b_g: Of the gates, shapes ``(H, L)``, ``(L, L)`` and ``(L,)``; zero
            at first: every gate is 1.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(self, layer: nn.Module, contexts: Contexts, folds: int = 2, **options):
        checks.kind("contexts", contexts, Contexts, "Contexts of a training text")
        super().__init__(layer, contexts.vocab_size, **options)
        checks.sizes(least=0, folds=folds)
        if folds == 1:
            checks.refuse("folds", folds, "0, 2 or more")
        self.contexts, self.folds = contexts, folds
        L, (H, V) = contexts.longest, self.W_hq.shape
        self.tables = nn.Parameter(self.b_q.new_zeros((1 + folds) * contexts.size, V))
        self.W_hg = nn.Parameter(self.b_q.new_zeros(H, L))
        self.W_sg = nn.Parameter(self.b_q.new_zeros(L, L))
        self.b_g = nn.Parameter(self.b_q.new_zeros(L))

    def _read(self, ids: Tensor, state) -> tuple[Tensor, Tensor, Tensor, tuple]:
        """Return outputs and logits of the layer, rows ``(T, N, L)``, the new state."""
        ids, (before, inner) = checks.as_ids(ids, dims=2), _parts(state)
        if before is None:
            before = self.contexts.begin(len(ids)).to(ids.device)
        self.contexts.check_before(before, len(ids), "the first part of state")
        rows = self.contexts.rows(ids, before).transpose(0, 1)
        outputs, inner = self._hidden(ids, inner)
        before = torch.cat([before, ids.long()], 1)[:, ids.shape[1] :]
        own = torch.addmm(self.b_q, outputs, self.W_hq)
        return outputs, own, rows, (before, inner)

    def _gated(self, outputs: Tensor, entries: Tensor) -> Tensor:
        """Return what the direct connections add, ``(T*N, V)``."""
        learned = entries.detach().abs().amax(-1).gt(0).to(outputs)
        gates = 2 * torch.sigmoid(outputs @ self.W_hg + learned @ self.W_sg + self.b_g)
        return (gates[:, :, None] * entries).sum(1)

    def forward(self, ids: Tensor, state=None):
        """Score every vocabulary entry as the next token, as ``LanguageModel`` does.

        Args:
            ids: Token ids, integer, shape ``(N, T)``.
            state: What an earlier call returned; None begins anew.

        Returns:
            Logits, shape ``(T*N, V)``, step after step, from table 0, and the new
            state: the last ``L - 1`` ids, and the state of the recurrent layer.
        """
        outputs, own, rows, state = self._read(ids, state)
        return own + self._gated(outputs, _look_up(self.tables, rows)), state

    def losses(self, X: Tensor, Y: Tensor, state=None):
        """Measure a minibatch; in evaluation mode table 0 is both read and learns.

        Args:
            X: Ids, shape ``(N, T)``; in training N is at least F.
            Y: The same, one token later.
            state: What the minibatch before returned; None begins anew.

        Returns:
            The cross-entropy of the network, in nats per token, whose gradient reaches
            everything but the tables; the cross-entropies of the network with each
            table that learns and its gates open (1), summed, whose gradient reaches the
            tables alone; the penalty on the rows that learn, summed likewise: the mean
            over the tokens of ``sum(E[row] ** 2) / counts[row]``; and the new state.
        """
        X, targets = _pair(X, Y, self.vocab_size)
        outputs, own, rows, state = self._read(X, state)
        reads, learn = _deal(X, self.folds if self.training else 0)
        entries = _look_up(self.tables.detach(), rows + reads * self.contexts.size)
        loss = F.cross_entropy(own + self._gated(outputs, entries), targets)
        weights = 1 / self.contexts.counts.to(own)[rows.reshape(len(own), -1)]
        of_tables = penalty = loss.new_zeros(())
        for table in learn:
            E = _look_up(self.tables, rows + table * self.contexts.size)
            of_tables = of_tables + F.cross_entropy(own.detach() + E.sum(1), targets)
            penalty = penalty + (E.square().sum(-1) * weights).sum() / len(own)
        return loss, of_tables, penalty, state


def _parts(state) -> tuple:
    """Return the last ids and the state of the layer, None for none."""
    if state is None:
        return None, None
    if not isinstance(state, tuple) or len(state) != 2:
        checks.refuse("state", state, "what an earlier call returned")
    checks.kind("the first part of state", state[0], Tensor, "the last ids, a tensor")
    return state


def _look_up(tables: Tensor, rows: Tensor) -> Tensor:
    """Return the entries of rows ``(T, N, L)`` as ``(T*N, L, V)``."""
    return F.embedding(rows.reshape(-1, rows.shape[-1]), tables, sparse=True)


def _deal(X: Tensor, folds: int) -> tuple[int | Tensor, list]:
    """Return the table that each sequence is read through, and those that learn it."""
    if not folds:
        return 0, [0]
    if len(X) < folds:
        checks.refuse("X", X, f"at least {folds} sequences, the number of folds")
    fold = torch.arange(len(X), device=X.device)[:, None] * folds // len(X)
    return 1 + fold, [0, *(1 + (fold + k) % folds for k in range(1, folds))]


def _pair(X: Tensor, Y: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Return the ids, and what is to be predicted, step after step."""
    X, Y = (
        checks.ids(ids, vocab_size, name=name, dims=2)
        for name, ids in (("X", X), ("Y", Y))
    )
    if X.shape != Y.shape:
        raise ValueError(f"Y has shape {tuple(Y.shape)}; accepted: {tuple(X.shape)}")
    return X, Y.T.reshape(-1)
