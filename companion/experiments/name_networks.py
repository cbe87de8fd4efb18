"""Laboratory D: the networks of the contest."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from companion import datasets
from companion.classifier import NameClassifier, log_probabilities
from companion.experiments.averaging import cycle_and_average
from companion.laboratory.name_training import batches, train_on_names
from companion.names import ALPHABET, ids, pad

V, K = len(ALPHABET), len(datasets.LANGUAGES)
BASE = V + 2  # a digit for each character, one for both ends of a name; 0 is nothing


def pieces(padded: Tensor, lengths: Tensor, order: int) -> Tensor:
    """Number the pieces of 1 ... ``order`` characters of ``|name|``.

    A piece is written in digits that are not zero, so that no two have one number.

    Args:
        padded: int64, shape ``(T, N)``.
        lengths: int64, shape ``(N,)``.
        order: Characters of the longest piece.

    Returns:
        int64, shape ``(N, P)``, 0 where a name has no more pieces.
    """
    place = torch.arange(len(padded) + 2)[:, None]
    inside = (place > 0) & (place <= lengths)
    digits = F.pad(padded + 1, (0, 0, 1, 1)).where(inside, torch.tensor(V + 1))
    number, rows = digits, []
    for size in range(1, order + 1):
        if size > 1:
            number = number[:-1] * BASE + digits[size - 1 :]
        rows.append(number.where(place[size - 1 :] <= lengths + 1, 0))
    return torch.cat(rows).T


class Contestant(nn.Module):
    """States at every step, spelling, and scores of pieces: any of the three.

    Args:
        names: Training names; their pieces have scores.
        hidden: H of each direction; 0: no recurrent layer.
        order: Characters of the longest piece; 0: no pieces.
        spelling: Weight of the loss of the guessed characters.
        dropout: Of the entries of states.
        piece_dropout: Of whole pieces.
    """

    def __init__(
        self,
        names: list[str],
        *,
        hidden: int = 128,
        order: int = 3,
        spelling: float = 3.0,
        dropout: float = 0.5,
        piece_dropout: float = 0.5,
    ):
        super().__init__()
        self.order, self.spelling = order, spelling
        self.dropout, self.piece_dropout = nn.Dropout(dropout), piece_dropout
        self.bias = nn.Parameter(torch.zeros(K))
        self.layer = self.table = None
        if hidden:
            self.layer = nn.GRU(V, hidden, bidirectional=True)
            self.output = nn.Linear(2 * hidden, K, bias=False)
            self.guesses = nn.ModuleList(nn.Linear(hidden, V) for _ in range(2))
        if order:
            found = pieces(*pad([ids(name) for name in names]), order).unique()
            self.register_buffer("seen", found[found > 0])
            self.table = nn.EmbeddingBag(len(self.seen) + 1, K, mode="sum")
            nn.init.zeros_(self.table.weight)

    def look_up(self, padded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Find the rows of the pieces, (N, P), and whether they were seen."""
        numbers = pieces(padded, lengths, self.order)
        rows = torch.searchsorted(self.seen, numbers.contiguous()).clamp(
            max=len(self.seen) - 1
        )
        return rows, self.seen[rows] == numbers

    def read(self, padded: Tensor, lengths: Tensor):
        """Return the logits, (N, K), and the packed states of every step."""
        logits, states = self.bias.expand(len(lengths), K), None
        if self.layer is not None:
            packed = pack_padded_sequence(padded, lengths, enforce_sorted=False)
            x = F.one_hot(packed.data, V).to(self.bias.dtype)
            states, _ = self.layer(packed._replace(data=x))
            states = states._replace(data=self.dropout(states.data))
            logits = logits + self.output(pad_packed_sequence(states)[0].sum(0))
        if self.table is not None:
            rows, kept = self.look_up(padded, lengths)
            weights = F.dropout(kept.to(self.bias), self.piece_dropout, self.training)
            logits = logits + self.table(rows, per_sample_weights=weights)
        return logits, states

    def forward(self, padded: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits, ``(N, K)``."""
        return self.read(padded, lengths)[0]

    def loss(self, padded: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Class loss in nats per name, plus ``spelling`` times nats per guess."""
        logits, states = self.read(padded, lengths)
        loss = F.cross_entropy(logits, labels)
        if states is None or not self.spelling:
            return loss
        nothing = torch.full_like(padded[:1], -100)
        t = torch.arange(len(padded))[:, None]
        after = torch.cat((padded[1:], nothing)).where(t < lengths - 1, -100)
        before = torch.cat((nothing, padded[:-1]))
        for guess, h, target in zip(
            self.guesses, states.data.chunk(2, 1), (after, before), strict=True
        ):
            target = pack_padded_sequence(target, lengths, enforce_sorted=False).data
            loss = loss + self.spelling * F.cross_entropy(guess(h), target)
        return loss


def build(names: list[str], kind: str, options: dict) -> nn.Module:
    """Make a ``Contestant``, or an RNN, GRU or LSTM that ends in its final state."""
    if kind == "joint":
        return Contestant(names, **options)
    layer = getattr(nn, kind)(V, options["hidden"])
    return NameClassifier(layer, K, dropout=options["dropout"])


def train_network(
    train,
    kind: str,
    options: dict,
    *,
    rate: float,
    epochs: int,
    decay: float = 0.0,
    average: float = 0.98,
    batch_size: int = 256,
    seed: int = 0,
) -> nn.Module:
    """Train with AdamW and one cycle of the rate; return the averaged weights.

    ``decay`` is that of the table of pieces; nothing else decays.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    names, labels = train
    model = build(names, kind, options)
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name == "table.weight"].append(parameter)
    optimiser = torch.optim.AdamW(
        [
            {"params": some, "weight_decay": decay if table else 0.0}
            for table, some in groups.items()
            if some
        ],
        lr=rate,
        fused=True,
    )
    steps = epochs * math.ceil(len(names) / batch_size)
    mean = cycle_and_average(model, optimiser, rate, steps + 1, average)
    sequences = [ids(name) for name in names]
    for _ in range(epochs):
        train_on_names(
            model,
            batches(sequences, labels, batch_size, generator=generator),
            optimiser,
            objective=model.loss if kind == "joint" else None,
        )
    return mean


def network_logs(train, names, kind, options, **training) -> Tensor:
    """Train, and return the log-probabilities of other names, (n, K)."""
    return log_probabilities(train_network(train, kind, options, **training), names)
