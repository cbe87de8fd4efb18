"""The network that ships as it is trained: with language-model heads; and its file."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from companion.classify.joint import JointClassifier, ngrams
from companion.names import ALPHABET, pad
from companion.support import checks


class SpellingClassifier(JointClassifier):
    """A joint classifier with two language-model heads, for training.

    Each direction predicts the next character that it will read. The loss of that
    teaches the states how names are spelled, which takes no label.

    Args:
        layer: See :class:`companion.classify.joint.JointClassifier`.
        num_classes: K.
        aux_weight: Weight of the language-model loss.
        **others: See :class:`companion.classify.joint.JointClassifier`.

    Attributes:
        forward_head: Linear layer from H features to 59.
        backward_head: The same for the other direction.

    Raises:
        ValueError: If an argument is not as said.

    Source:
        Rei (2017).
    """

    def __init__(
        self,
        layer: nn.RNNBase,
        num_classes: int,
        *,
        aux_weight: float = 3.0,
        **others,
    ):
        super().__init__(layer, num_classes, **others)
        checks.number(
            "aux_weight", aux_weight, "0 or more", lambda w: 0 <= w < math.inf
        )
        self.aux_weight = aux_weight
        weight = self.output.weight
        like = {"device": weight.device, "dtype": weight.dtype}
        self.forward_head = nn.Linear(layer.hidden_size, len(ALPHABET), **like)
        self.backward_head = nn.Linear(layer.hidden_size, len(ALPHABET), **like)

    def loss(self, ids: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Return ``class loss + aux_weight * (next + previous character)``.

        Args:
            ids: See :meth:`companion.classify.joint.JointClassifier.forward`.
            lengths: The same.
            labels: int64, shape ``(N,)``.

        Returns:
            Shape ``()``: nats per name, plus ``aux_weight`` times the nats per
            character of the one direction and of the other.

        Raises:
            ValueError: If the shapes do not fit each other, or a value is out of range.
        """
        logits, states = self._score(ids, lengths)
        labels = checks.ids(labels, logits.shape[1], name="labels")
        loss = F.cross_entropy(logits, labels)
        if not self.aux_weight or lengths.max() == 1:
            return loss
        # What follows a character, and what stands before it: nothing (-100, which the
        # cross-entropy leaves out) after the last and before the first.
        nothing = torch.full_like(ids[:1], -100)
        last = torch.arange(len(ids))[:, None] == lengths - 1  # (T, N)
        after = torch.cat((ids[1:], nothing)).masked_fill(last.to(ids.device), -100)
        before = torch.cat((nothing, ids[:-1]))
        halves = states.data.chunk(2, dim=1)  # (sum of lengths, H) each
        heads = self.forward_head, self.backward_head
        for head, h, target in zip(heads, halves, (after, before), strict=True):
            target = pack_padded_sequence(target, lengths, enforce_sorted=False).data
            loss = loss + self.aux_weight * F.cross_entropy(head(h), target)
        return loss


def known_ngrams(sequences: Iterable[Tensor], longest: int) -> Tensor:
    """Number the character n-grams that stand in some names.

    Args:
        sequences: Ids of each name, as :func:`companion.names.ids` returns them.
        longest: Characters of the longest n-gram.

    Returns:
        int64, ascending, each once.
    """
    found = ngrams(*pad(list(sequences)), longest).unique()
    return found[found > 0]


def store(model: JointClassifier, languages: Sequence[str], path: Path) -> None:
    """Write a classifier around a GRU, for :func:`companion.classify.stored.read`.

    Weights keep 16 bits each, the scores of n-grams 8: for each class the largest one
    is written as 127 or -127, the others in proportion, to the nearest whole number.

    Args:
        model: The classifier; it has direct connections.
        languages: K names of classes, in the order of the labels.
        path: Of the file.
    """
    state = {
        name: value.half() if value.is_floating_point() else value.int()
        for name, value in model.state_dict().items()
    }
    table = state.pop("direct.weight").float()
    scale = table.abs().amax(0).clamp(min=1e-6) / 127  # (K,)
    stored = {
        "hidden": model.layer.hidden_size,
        "direct": model.longest,
        "languages": list(languages),
        "state": state,
        "scale": scale,
        "scores": (table / scale).round().to(torch.int8),
    }
    torch.save(stored, path)
