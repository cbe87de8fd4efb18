"""Name classifiers for packed minibatches: training and prediction."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)
from torch.optim import Optimizer

from companion.classic import take_step
from companion.language_model import evaluating
from companion.names import ALPHABET, ids, pad
from companion.rnn import check_sizes
from companion.text import one_hot


class NameClassifier(nn.Module):
    """Packed minibatches of names, a recurrent layer, and logits from its last state.

    ``O = [final state, forward; backward] W_o + b_o``, where each direction of the last
    layer has ended at the end of *its* name, whatever the padding.

    Args:
        layer: A ``torch.nn.RNN``, ``GRU`` or ``LSTM``, time first, with any number of
            layers and directions.
        num_classes: K.
        embed: Whether characters are looked up in a table that is learned, of
            ``layer.input_size`` columns. If not, they are one-hot and ``input_size`` is
            59.
        dropout: Probability with which, in training, an entry of the final state is set
            to zero.
        input_dropout: Probability with which, in training, a character is blanked out:
            all its features are set to zero.

    Attributes:
        layer: The recurrent layer.
        table: Features of each character, shape ``(59, D)``; the identity if not
            learned.
        output: Linear layer from H features (2H with two directions) to K.

    Raises:
        ValueError: If ``num_classes`` is below 1, a dropout is not in [0, 1), the layer
            wants its batch first, projects its state, or has another ``input_size``
            than one-hot characters.
    """

    def __init__(
        self,
        layer: nn.RNNBase,
        num_classes: int,
        *,
        embed: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ):
        super().__init__()
        check_sizes(num_classes=num_classes)
        for name, p in (("dropout", dropout), ("input_dropout", input_dropout)):
            if not 0 <= p < 1:
                raise ValueError(f"{name} is {p}; accepted: 0 up to, not including, 1")
        if layer.proj_size or layer.batch_first:
            raise ValueError(
                f"layer has proj_size {layer.proj_size} and batch_first "
                f"{layer.batch_first}; accepted: 0 and False"
            )
        if not embed and layer.input_size != len(ALPHABET):
            raise ValueError(
                f"layer.input_size is {layer.input_size}; accepted: {len(ALPHABET)}, "
                "or embed=True"
            )
        self.layer = layer
        directions = 2 if layer.bidirectional else 1
        weight = layer.weight_ih_l0
        like = {"device": weight.device, "dtype": weight.dtype}
        if embed:
            draw = torch.randn(len(ALPHABET), layer.input_size, **like)
            self.table = nn.Parameter(draw)
        else:
            self.register_buffer("table", torch.eye(len(ALPHABET), **like))
        self.output = nn.Linear(directions * layer.hidden_size, num_classes, **like)
        self.dropout = nn.Dropout(dropout)
        self.input_dropout = nn.Dropout(input_dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes for each name of a minibatch.

        Args:
            ids: Padded ids, int64, shape ``(T, N)``, as :func:`companion.names.pad`
                returns them. What stands after the end of a name is not read.
            lengths: int64, shape ``(N,)``, on the CPU, 1 ... T.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        packed = _pack(ids, lengths)
        characters = F.embedding(packed.data, self.table)  # (sum of lengths, D)
        kept = self.input_dropout(characters.new_ones(len(characters), 1))
        _, state = self.layer(packed._replace(data=characters * kept))
        h = state[0] if isinstance(self.layer, nn.LSTM) else state  # (L * dirs, N, H)
        last = h[-2:] if self.layer.bidirectional else h[-1:]
        return self.output(self.dropout(torch.cat(tuple(last), dim=1)))


class JointClassifier(nn.Module):
    """A bidirectional layer that scores classes at every step, and spells as well.

    ``O = (sum over t of H_t) W_o + b_o`` adds up what every step has to say about the
    class. Beside it each direction guesses the next character that it will read, as a
    language model does. The guesses are used in training only: their loss teaches the
    states how names are spelled, which takes no label.

    Direct connections, if there are any, add a score of its own for each piece of the
    name, past the recurrent layer: ``sum over pieces p of D_p``. A piece is what one to
    ``direct`` neighbouring characters are; the beginning and the end of the name count
    as characters here. What was never seen in training scores zero.

    Args:
        layer: A bidirectional ``torch.nn.RNN``, ``GRU`` or ``LSTM`` of one layer, time
            first, with ``input_size`` 59.
        num_classes: K.
        dropout: Probability with which, in training, an entry of a state is set to
            zero, and a piece left out.
        spelling: Weight of the loss of the guesses.
        direct: Characters of the longest piece that has a direct connection, 0 ... 3;
            0 is none.

    Attributes:
        layer: The recurrent layer.
        output: Linear layer from 2H features to K.
        forward_guess: Linear layer from H features to 59.
        backward_guess: The same for the other direction.
        direct: ``torch.nn.EmbeddingBag`` with a row of K scores for each piece, zero at
            first; None without direct connections.

    Raises:
        ValueError: If ``num_classes`` is below 1, ``dropout`` is not in [0, 1),
            ``spelling`` is negative, ``direct`` is not in 0 ... 3, or the layer is
            another one.

    Source:
        Spelling as a second task: Rei (2017). Direct connections: Mikolov et al.
        (2011).
    """

    def __init__(
        self,
        layer: nn.RNNBase,
        num_classes: int,
        *,
        dropout: float = 0.5,
        spelling: float = 3.0,
        direct: int = 0,
    ):
        super().__init__()
        check_sizes(num_classes=num_classes)
        V = len(ALPHABET)
        if not 0 <= dropout < 1:
            raise ValueError(
                f"dropout is {dropout}; accepted: 0 up to, not including, 1"
            )
        if not spelling >= 0:
            raise ValueError(f"spelling is {spelling}; accepted: 0 or more")
        if direct not in range(4):
            raise ValueError(f"direct is {direct}; accepted: 0, 1, 2 or 3")
        if (
            not layer.bidirectional
            or layer.num_layers > 1  # the upper layer would have seen the next one
            or layer.batch_first
            or layer.proj_size
            or layer.input_size != V
        ):
            raise ValueError(
                f"layer is {layer}; accepted: one layer, bidirectional, time first, of "
                f"{V} features, without projection"
            )
        self.layer, self.spelling = layer, spelling
        self.dropout = nn.Dropout(dropout)
        H = layer.hidden_size
        like = {"device": layer.weight_ih_l0.device, "dtype": layer.weight_ih_l0.dtype}
        self.output = nn.Linear(2 * H, num_classes, **like)
        self.forward_guess = nn.Linear(H, V, **like)
        self.backward_guess = nn.Linear(H, V, **like)
        self.direct = None
        if direct:
            table = torch.zeros(_first_number(direct + 1), num_classes, **like)
            self.direct = nn.EmbeddingBag.from_pretrained(
                table, freeze=False, mode="sum", padding_idx=0
            )
        self.longest = direct

    def _read(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, PackedSequence]:
        """Return the logits, (N, K), and the states that they were added up from."""
        packed = _pack(ids, lengths)
        x = one_hot(packed.data, len(ALPHABET), dtype=self.output.weight.dtype)
        outputs, _ = self.layer(packed._replace(data=x))
        outputs = outputs._replace(data=self.dropout(outputs.data))
        total = pad_packed_sequence(outputs)[0].sum(0)  # (T, N, 2H) to (N, 2H)
        logits = self.output(total)
        if self.direct is not None:
            logits = logits + self.score_pieces(ids, lengths)
        return logits, outputs

    def score_pieces(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Add up the scores of the direct connections.

        Args:
            ids: See :class:`NameClassifier`.
            lengths: See :class:`NameClassifier`.

        Returns:
            Their share of the logits, shape ``(N, K)``.
        """
        pieces = _pieces(ids, lengths.to(ids.device), self.longest)
        kept = self.dropout(self.direct.weight.new_ones(pieces.shape))
        return self.direct(pieces, per_sample_weights=kept)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes for each name of a minibatch.

        Args:
            ids: See :class:`NameClassifier`.
            lengths: See :class:`NameClassifier`.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        return self._read(ids, lengths)[0]

    def loss(self, ids: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Return what is minimised: ``class loss + spelling * loss of the guesses``.

        Args:
            ids: See :class:`NameClassifier`.
            lengths: See :class:`NameClassifier`.
            labels: int64, shape ``(N,)``.

        Returns:
            Shape ``()``: nats per name, plus ``spelling`` times the nats per guess of
            the one direction and of the other.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        logits, states = self._read(ids, lengths)
        loss = F.cross_entropy(logits, labels)
        if not self.spelling or lengths.max() == 1:
            return loss
        # What follows a character, and what stands before it: nothing (-100, which the
        # cross-entropy leaves out) after the last and before the first.
        nothing = torch.full_like(ids[:1], -100)
        last = torch.arange(len(ids))[:, None] == lengths - 1  # (T, N)
        after = torch.cat((ids[1:], nothing)).masked_fill(last.to(ids.device), -100)
        before = torch.cat((nothing, ids[:-1]))
        halves = states.data.chunk(2, dim=1)  # (sum of lengths, H) each
        guessers = self.forward_guess, self.backward_guess
        for guess, h, target in zip(guessers, halves, (after, before), strict=True):
            target = _pack(target, lengths).data
            loss = loss + self.spelling * F.cross_entropy(guess(h), target)
        return loss


def _first_number(size: int) -> int:
    """Return the number of the first piece of so many characters; 0 is no piece."""
    symbols = len(ALPHABET) + 1  # one stands for the beginning, and for the end
    return 1 + sum(symbols**n for n in range(1, size))


def _pieces(ids: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """Number the pieces of 1 ... ``longest`` characters of padded names, (T, N).

    Returns:
        int64, shape ``(N, P)``, 0 where a name has no more pieces.
    """
    T, mark = len(ids), len(ALPHABET)
    place = torch.arange(T + 2, device=ids.device)[:, None]
    marked = F.pad(ids, (0, 0, 1, 1)).where((place > 0) & (place <= lengths), mark)
    number, rows = marked, []
    for size in range(1, longest + 1):
        if size > 1:  # a piece is a shorter one and the character after it
            number = number[:-1] * (mark + 1) + marked[size - 1 :]
        inside = place[size - 1 :] <= lengths + 1  # where its last character stands
        rows.append((number + _first_number(size)).where(inside, 0))
    return torch.cat(rows).T


def _pack(ids: Tensor, lengths: Tensor) -> PackedSequence:
    """Pack padded ids, (T, N), if the lengths, (N,), fit them."""
    if ids.dim() != 2 or lengths.shape != ids.shape[1:]:
        raise ValueError(
            f"ids has shape {tuple(ids.shape)}, lengths {tuple(lengths.shape)}; "
            "accepted: (T, N) and (N,)"
        )
    return pack_padded_sequence(ids, lengths, enforce_sorted=False)


def train_epoch(
    model: nn.Module,
    minibatches: Iterable[tuple[Tensor, Tensor, Tensor]],
    optimiser: Optimizer,
    *,
    max_norm: float = 1.0,
    objective: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> float:
    """Take one optimiser step a minibatch.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``.
        minibatches: Ids, lengths and labels, as :func:`companion.names.batches` yields
            them.
        optimiser: Owns the parameters of the model.
        max_norm: Radius to which each gradient is clipped; infinite: no clipping.
        objective: Maps ids, lengths and labels to the loss, say
            ``JointClassifier.loss``; None takes the cross-entropy of the logits.

    Returns:
        Mean loss, weighted by names; nats per name if it is the cross-entropy.

    Raises:
        ValueError: If there is no minibatch.
        FloatingPointError: If a loss or a gradient stops being finite. That step is not
            taken.
    """
    model.train()
    total = count = 0
    for step, (padded, lengths, labels) in enumerate(minibatches, start=1):
        if objective is None:
            loss = F.cross_entropy(model(padded, lengths), labels)
        else:
            loss = objective(padded, lengths, labels)
        total += len(labels) * take_step(model, loss, optimiser, max_norm, step)
        count += len(labels)
    if not count:
        raise ValueError("minibatches is empty; accepted: at least one")
    return total / count


@torch.no_grad()
def log_probabilities(
    model: nn.Module, names: Sequence[str], *, batch_size: int = 512
) -> Tensor:
    """Read names, folded like those of training, and score every class.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``. It
            is put into evaluation mode, and back.
        names: Any names, at least one.
        batch_size: Names of one call; the result does not depend on it.

    Returns:
        Natural logarithms of the probabilities, shape ``(len(names), K)``, rows in the
        order of ``names``.

    Raises:
        ValueError: If there is no name, or one is empty or holds a character outside
            the alphabet after folding, or ``batch_size`` is below 1.
    """
    check_sizes(batch_size=batch_size)
    if isinstance(names, str) or not names:
        raise ValueError(f"names is {names!r}; accepted: a sequence of names")
    sequences = [ids(name) for name in names]
    device = next(model.parameters()).device
    with evaluating(model):
        parts = []
        for start in range(0, len(sequences), batch_size):
            padded, lengths = pad(sequences[start : start + batch_size])
            parts.append(model(padded.to(device), lengths).log_softmax(1))
    return torch.cat(parts)


def top_k(
    model: nn.Module, name: str, languages: Sequence[str], k: int = 3
) -> list[tuple[str, float]]:
    """Name the most probable languages of a name.

    Args:
        model: See :func:`log_probabilities`.
        name: Any name.
        languages: K names of classes, in the order of the labels.
        k: How many, 1 ... K.

    Returns:
        Pairs of a language and its probability, the most probable first.

    Raises:
        ValueError: If ``k`` is not in 1 ... K, or as in :func:`log_probabilities`.
    """
    if not 1 <= k <= len(languages):
        raise ValueError(f"k is {k}; accepted: 1 ... {len(languages)}")
    (scores,) = log_probabilities(model, [name]).exp()
    best = scores.topk(k)
    return [
        (languages[label], p)
        for p, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
