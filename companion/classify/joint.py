"""The network of the classifier that ships: every step scores, and n-grams do too."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence
from torch.nn.utils.rnn import pad_packed_sequence as unpack

from companion.classifier import NameNetwork
from companion.names import ALPHABET
from companion.support import arguments, checks

#: Characters of the longest n-gram; the numbers of all are below 2**31.
LONGEST = 5


class JointClassifier(NameNetwork):
    """A bidirectional layer that scores classes at every step, and n-grams beside it.

    ``O = (sum over t of H_t) W_o + sum over n-grams p of D_p + b_o`` adds up what every
    step has to say about the class, and a score of its own for each character n-gram of
    the name (a piece of 1 ... ``longest`` neighbouring characters, where the beginning
    and the end of the name count as characters). These direct connections go past the
    recurrent layer; an n-gram that is not among ``known`` scores zero.

    Args:
        layer: As for :class:`companion.classifier.NameNetwork`, but one layer of two
            directions.
        num_classes: K.
        dropout: As there.
        ngram_dropout: Probability with which, in training, an n-gram is left out.
        longest: Characters of the longest n-gram, up to 5; 0: no direct connections.
        known: Numbers (:func:`ngrams`) of the n-grams that have a row, ascending.

    Attributes:
        output: Linear layer from 2H features to K.
        known: int64, numbers of the n-grams that have a row, the first in row 1.
        direct: ``torch.nn.EmbeddingBag``, a row of K scores an n-gram; or None.

    Raises:
        ValueError: If an argument is not as said.

    Source:
        Direct connections: Mikolov et al. (2011).

    Example:
        >>> model = JointClassifier(nn.GRU(59, 8, bidirectional=True), num_classes=18)
        >>> model(torch.tensor([[8, 1], [19, 0], [14, 0]]), torch.tensor([3, 1])).shape
        torch.Size([2, 18])
    """

    def __init__(
        self,
        layer: nn.RNNBase,
        num_classes: int,
        *,
        dropout: float = 0.0,
        ngram_dropout: float = 0.0,
        longest: int = 0,
        known: Tensor | None = None,
    ):
        super().__init__(layer, num_classes, dropout=dropout)
        if not layer.bidirectional or layer.num_layers > 1:
            # An upper layer's state would have seen the character that comes next.
            checks.refuse("layer", layer, "one layer of two directions")
        checks.dropout(ngram_dropout=ngram_dropout)
        self.ngram_dropout = nn.Dropout(ngram_dropout)
        checks.sizes(longest=longest, least=0)
        self.longest, self.direct = longest, None
        if longest > LONGEST or (longest == 0) != (known is None):
            checks.refuse("longest", longest, f"1 ... {LONGEST} with known, 0 without")
        if longest:
            known = checks.ids(known, checks.LARGEST, name="known", dims=1)
            steps = known.diff(prepend=known.new_zeros(1))
            if not len(known) or not steps.min() > 0:
                checks.refuse("known", known, "one or more from 1 up, ascending")
            weight = self.output.weight
            self.register_buffer("known", known.to(weight.device))
            table = weight.new_zeros(len(known) + 1, num_classes)
            self.direct = nn.EmbeddingBag.from_pretrained(
                table, freeze=False, mode="sum", padding_idx=0
            )

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes, as :class:`~companion.classifier.NameClassifier` does."""
        return self._score(ids, lengths)[0]

    def _score(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, PackedSequence]:
        """Return the logits, (N, K), and the states that they were added up from."""
        states, _ = self._read(ids, lengths)
        states = states._replace(data=self.dropout(states.data))
        logits = self.output(unpack(states)[0].sum(0))  # padding is zero
        if self.direct is not None:
            logits = logits + self._score_ngrams(ids, lengths)
        return logits, states

    def _score_ngrams(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Add up the scores of the direct connections, (N, K)."""
        numbers = ngrams(ids, lengths, self.longest)  # (N, P)
        places = torch.searchsorted(self.known, numbers).clamp(max=len(self.known) - 1)
        rows = (places + 1).where(self.known[places] == numbers, 0)
        kept = self.ngram_dropout(self.direct.weight.new_ones(rows.shape))
        return self.direct(rows, per_sample_weights=kept)


def ngrams(ids: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """Number the character n-grams of 1 ... ``longest`` characters of padded names.

    Args:
        ids: Padded ids, int64, shape ``(T, N)``.
        lengths: int64, shape ``(N,)``, 1 ... T.
        longest: Characters of the longest n-gram, up to 5, the ends of a name among
            them.

    Returns:
        int64, shape ``(N, P)``, 0 where a name has no more n-grams. No two n-grams have
        the same number.

    Raises:
        ValueError: If an argument is not as said.

    Example:
        >>> ngrams(torch.tensor([[8], [19]]), torch.tensor([2]), 1)  # ^it$
        tensor([[60,  9, 20, 60]])
    """
    ids, lengths = arguments.padded(ids, lengths, len(ALPHABET))
    checks.sizes(longest=longest)
    if longest > LONGEST:
        checks.refuse("longest", longest, f"1 ... {LONGEST}")
    T, mark = len(ids), len(ALPHABET)
    place = torch.arange(T + 2, device=ids.device)[:, None]
    ends = lengths.to(ids.device)
    marked = F.pad(ids, (0, 0, 1, 1)).where((place > 0) & (place <= ends), mark)
    number, rows, first = marked, [], 1
    for size in range(1, longest + 1):
        if size > 1:  # an n-gram is a shorter one and the character after it
            number = number[:-1] * (mark + 1) + marked[size - 1 :]
            first += (mark + 1) ** (size - 1)
        inside = place[size - 1 :] <= ends + 1  # where its last character stands
        rows.append((number + first).where(inside, 0))
    return torch.cat(rows).T.contiguous()
