"""A name classifier that scores at every step, spells, and looks pieces up."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from companion.checks import check_sizes
from companion.names import ALPHABET
from companion.padding import pack, pad
from companion.text import one_hot


class JointClassifier(nn.Module):
    """A bidirectional layer that scores classes at every step, and spells as well.

    ``O = (sum over t of H_t) W_o + b_o`` adds up what every step has to say about the
    class. Beside it each direction guesses the next character that it will read, as a
    language model does. The guesses are used in training only: their loss teaches the
    states how names are spelled, which takes no label.

    Direct connections, if there are any, add a score of its own for each piece of the
    name, past the recurrent layer: ``sum over pieces p of D_p``. A piece is what one to
    ``direct`` neighbouring characters are; the beginning and the end of the name count
    as characters here. What has no row, or was never seen in training, scores zero.

    Args:
        layer: A bidirectional ``torch.nn.RNN``, ``GRU`` or ``LSTM`` of one layer, time
            first, with ``input_size`` 59.
        num_classes: K.
        dropout: Probability with which, in training, an entry of a state is set to
            zero.
        piece_dropout: The same for a piece to be left out; None: as ``dropout``.
        spelling: Weight of the loss of the guesses.
        direct: Characters of the longest piece that has a direct connection; 0 is none.
        known: Numbers of the pieces that have a row, ascending, as
            :func:`known_pieces` finds them; None: all there are, with ``direct`` up to
            3.

    Attributes:
        layer: The recurrent layer.
        output: Linear layer from 2H features to K.
        forward_guess: Linear layer from H features to 59.
        backward_guess: The same for the other direction.
        known: int64, numbers of the pieces that have a row, the first in row 1.
        direct: ``torch.nn.EmbeddingBag`` with a row of K scores for each piece, zero at
            first; None without direct connections.

    Raises:
        ValueError: If ``num_classes`` is below 1, a dropout is not in [0, 1),
            ``spelling`` is negative, ``direct`` is negative or above 3 with no
            ``known``, or the layer is another one.

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
        piece_dropout: float | None = None,
        spelling: float = 3.0,
        direct: int = 0,
        known: Tensor | None = None,
    ):
        super().__init__()
        check_sizes(num_classes=num_classes)
        V = len(ALPHABET)
        piece_dropout = dropout if piece_dropout is None else piece_dropout
        for name, p in (("dropout", dropout), ("piece_dropout", piece_dropout)):
            if not 0 <= p < 1:
                raise ValueError(f"{name} is {p}; accepted: 0 up to, not including, 1")
        if not spelling >= 0:
            raise ValueError(f"spelling is {spelling}; accepted: 0 or more")
        if direct not in range(4 if known is None else 10):
            raise ValueError(
                f"direct is {direct}; accepted: 0, 1, 2 or 3, and up to 9 with known"
            )
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
        self.dropout, self.piece_dropout = (
            nn.Dropout(dropout),
            nn.Dropout(piece_dropout),
        )
        H = layer.hidden_size
        like = {"device": layer.weight_ih_l0.device, "dtype": layer.weight_ih_l0.dtype}
        self.output = nn.Linear(2 * H, num_classes, **like)
        self.forward_guess = nn.Linear(H, V, **like)
        self.backward_guess = nn.Linear(H, V, **like)
        self.direct = None
        if direct:
            if known is None:
                known = torch.arange(1, _first_number(direct + 1))
            self.register_buffer("known", known.to(like["device"]))
            table = torch.zeros(len(known) + 1, num_classes, **like)
            self.direct = nn.EmbeddingBag.from_pretrained(
                table, freeze=False, mode="sum", padding_idx=0
            )
        self.longest = direct

    def _read(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, PackedSequence]:
        """Return the logits, (N, K), and the states that they were added up from."""
        packed = pack(ids, lengths)
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
            ids: Padded ids, int64, shape ``(T, N)``.
            lengths: int64, shape ``(N,)``.

        Returns:
            Their share of the logits, shape ``(N, K)``.
        """
        numbers = pieces(ids, lengths.to(ids.device), self.longest)  # (N, P)
        places = torch.searchsorted(self.known, numbers).clamp(max=len(self.known) - 1)
        rows = (places + 1).where(self.known[places] == numbers, 0)
        kept = self.piece_dropout(self.direct.weight.new_ones(rows.shape))
        return self.direct(rows, per_sample_weights=kept)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes for each name of a minibatch.

        Args:
            ids: Padded ids, int64, shape ``(T, N)``, as :func:`companion.padding.pad`
                returns them. What stands after the end of a name is not read.
            lengths: int64, shape ``(N,)``, on the CPU, 1 ... T.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        return self._read(ids, lengths)[0]

    def loss(self, ids: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Return what is minimised: ``class loss + spelling * loss of the guesses``.

        Args:
            ids: See :meth:`forward`.
            lengths: See :meth:`forward`.
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
            target = pack(target, lengths).data
            loss = loss + self.spelling * F.cross_entropy(guess(h), target)
        return loss


def _first_number(size: int) -> int:
    """Return the number of the first piece of so many characters; 0 is no piece."""
    symbols = len(ALPHABET) + 1  # one stands for the beginning, and for the end
    return 1 + sum(symbols**n for n in range(1, size))


def pieces(ids: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """Number the pieces of 1 ... ``longest`` characters of padded names.

    Args:
        ids: Padded ids, int64, shape ``(T, N)``.
        lengths: int64, shape ``(N,)``, on the device of ``ids``.
        longest: Characters of the longest piece, the ends of a name among them.

    Returns:
        int64, shape ``(N, P)``, 0 where a name has no more pieces. No two pieces have
        the same number.
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
    return torch.cat(rows).T.contiguous()


def known_pieces(sequences: Iterable[Tensor], longest: int) -> Tensor:
    """Number the pieces that stand in some names.

    Args:
        sequences: Ids of each name, as :func:`companion.names.ids` returns them.
        longest: Characters of the longest piece.

    Returns:
        int64, ascending, each piece once.
    """
    found = pieces(*pad(list(sequences)), longest).unique()
    return found[found > 0]
