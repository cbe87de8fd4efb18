"""Name classifiers: what they share, the plain one, and prediction."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from companion.language_model import evaluating
from companion.measuring import wide
from companion.names import ALPHABET, ids, pad
from companion.support import arguments, checks
from companion.text import one_hot


class NameNetwork(nn.Module):
    """A recurrent layer over one-hot names, and an output layer to the classes.

    Args:
        layer: A ``torch.nn.RNN``, ``GRU`` or ``LSTM`` of 59 features, time first,
            without projection, with any number of layers and directions.
        num_classes: K.
        dropout: Probability with which training zeroes an entry that ``output`` reads.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(self, layer: nn.RNNBase, num_classes: int, *, dropout: float = 0.0):
        super().__init__()
        accepted = f"an RNN, GRU or LSTM of {len(ALPHABET)} features, time first, "
        checks.kind("layer", layer, nn.RNNBase, f"{accepted}without projection")
        fits = layer.input_size == len(ALPHABET) and not layer.batch_first
        if not fits or layer.proj_size:
            checks.refuse("layer", layer, f"{accepted}without projection")
        checks.sizes(num_classes=num_classes)
        checks.dropout(dropout=dropout)
        self.layer, self.dropout = layer, nn.Dropout(dropout)
        weight = layer.weight_ih_l0
        like = {"device": weight.device, "dtype": weight.dtype}
        width = layer.hidden_size * (2 if layer.bidirectional else 1)
        self.output = nn.Linear(width, num_classes, **like)

    def _read(self, ids: Tensor, lengths: Tensor) -> tuple[PackedSequence, Tensor]:
        """Return what the layer returns for packed one-hot names."""
        ids, lengths = arguments.padded(ids, lengths, len(ALPHABET))
        weight = self.output.weight
        checks.device("ids", ids, weight)
        packed = pack_padded_sequence(ids, lengths, enforce_sorted=False)
        x = one_hot(packed.data, len(ALPHABET), dtype=weight.dtype)
        return self.layer(packed._replace(data=x))


class NameClassifier(NameNetwork):
    """A recurrent layer, and logits from its last state.

    ``O = [final state, forward; backward] W_o + b_o``, where each direction of the last
    layer has ended at the end of *its* name, whatever the padding.

    Arguments and errors are those of :class:`NameNetwork`.

    Attributes:
        layer: The recurrent layer.
        output: Linear layer from H features (2H with two directions) to K.

    Example:
        >>> model = NameClassifier(nn.GRU(59, 8), num_classes=18)
        >>> model(*pad([ids("Ito"), ids("Keefe")])).shape
        torch.Size([2, 18])
    """

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes for each name of a minibatch.

        Args:
            ids: Padded ids, int64, shape ``(T, N)``, as :func:`companion.names.pad`
                returns them. What stands after the end of a name is not read.
            lengths: int64, shape ``(N,)``, 1 ... T.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: If the shapes do not fit each other, an id is not in 0 ... 58, a
                length not in 1 ... T, or ``ids`` not where the parameters are.
        """
        _, state = self._read(ids, lengths)
        h = state[0] if isinstance(self.layer, nn.LSTM) else state  # (L * dirs, N, H)
        last = h[-2:] if self.layer.bidirectional else h[-1:]
        return self.output(self.dropout(torch.cat(tuple(last), dim=1)))


@torch.no_grad()
def log_probabilities(
    model: nn.Module, names: Sequence[str], *, batch_size: int = 512
) -> Tensor:
    """Score every class for names that are written as those of training were.

    Names are folded and not normalised, which :func:`companion.classify.classify` does.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``. It
            is put into evaluation mode, and back.
        names: Any names, at least one.
        batch_size: Names of one call; the result does not depend on it.

    Returns:
        Natural logarithms of the probabilities, shape ``(len(names), K)``, rows in the
        order of ``names``.

    Raises:
        ValueError: If an argument is not as said (names: :func:`companion.names.ids`).

    Example:
        >>> model = NameClassifier(nn.GRU(59, 8), num_classes=18)
        >>> log_probabilities(model, ["Ito", "Keefe"]).shape
        torch.Size([2, 18])
    """
    checks.model(model)
    checks.sizes(batch_size=batch_size)
    sequences = list(map(ids, checks.as_strings("names", names)))
    if not sequences:
        checks.refuse("names", names, "at least one name")
    like = next(model.parameters(), sequences[0])
    with evaluating(model):
        parts = []
        for start in range(0, len(sequences), batch_size):
            padded, lengths = pad(sequences[start : start + batch_size])
            parts.append(wide(model(padded.to(like.device), lengths)).log_softmax(1))
    return torch.cat(parts)
