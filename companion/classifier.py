"""Name classifiers: a plain one, prediction, and the one that ships.

:func:`classify` names the languages of any surname, by the classifier that ships with
the package unless it is given another.
"""

import functools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from companion import checks
from companion.datasets import LANGUAGES
from companion.joint import JointClassifier, NameNetwork
from companion.language_model import evaluating
from companion.measuring import wide
from companion.names import ids, pad
from companion.normalise import normalise
from companion.stored import read


class NameClassifier(NameNetwork):
    """A recurrent layer, and logits from its last state.

    ``O = [final state, forward; backward] W_o + b_o``, where each direction of the last
    layer has ended at the end of *its* name, whatever the padding.

    Args:
        layer: A ``torch.nn.RNN``, ``GRU`` or ``LSTM`` of 59 features, time first,
            without projection, with any number of layers and directions.
        num_classes: K.
        dropout: Probability with which, in training, an entry of the final state is set
            to zero.

    Attributes:
        layer: The recurrent layer.
        output: Linear layer from H features (2H with two directions) to K.

    Raises:
        ValueError: If an argument is not as said.

    Example:
        >>> model = NameClassifier(nn.GRU(59, 8), num_classes=18)
        >>> model(*pad([ids("Ito"), ids("Keefe")])).shape
        torch.Size([2, 18])
    """

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes: see :meth:`companion.joint.JointClassifier.forward`."""
        _, state = self._read(ids, lengths)
        h = state[0] if isinstance(self.layer, nn.LSTM) else state  # (L * dirs, N, H)
        last = h[-2:] if self.layer.bidirectional else h[-1:]
        return self.output(self.dropout(torch.cat(tuple(last), dim=1)))


@torch.no_grad()
def log_probabilities(
    model: nn.Module, names: Sequence[str], *, batch_size: int = 512
) -> Tensor:
    """Score every class for names that are written as those of training were.

    Names are folded and not normalised, which :func:`classify` does.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``. It
            is put into evaluation mode, and back.
        names: Any names, at least one.
        batch_size: Names of one call; the result does not depend on it.

    Returns:
        Natural logarithms of the probabilities, shape ``(len(names), K)``, rows in the
        order of ``names``.

    Raises:
        ValueError: If there is no name, a name cannot be read (see
            :func:`companion.names.ids`), or another argument is not as said.

    Example:
        >>> log_probabilities(load(), ["Ito"]).argmax(1)
        tensor([10])
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


def load() -> JointClassifier:
    """Return the classifier that ships with the package.

    ``python -m companion.experiments.train_classifier`` made it, from all names but a
    test part; :func:`companion.stored.provenance` tells its settings and scores.

    Returns:
        The network, float32, in evaluation mode, a new one at every call. Its attribute
        ``languages`` names the classes in the order of the labels.

    Example:
        >>> load().languages[:3]
        ('Arabic', 'Chinese', 'Czech')
    """
    return read()


_shipped = functools.cache(load)


def classify(
    names: str | Iterable[str], model: nn.Module | None = None, *, k: int = 3
) -> list:
    """Name the most probable languages of surnames.

    Names are normalised as those of training were
    (:func:`companion.normalise.normalise`): capitals, blanks at the ends and accents
    make no difference; another script, digits and the like are refused. The
    probabilities are conditional on the name being of one of the languages.

    Args:
        names: A name, or several.
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``, and
            was trained on normal names. Its attribute ``languages`` names the classes;
            where it has none, they are ``companion.datasets.LANGUAGES``. None: the
            classifier that ships.
        k: Languages to name, 1 ... K.

    Returns:
        For a single name k pairs of a language and its probability, the most probable
        first; for several a list of such lists, in the order of the names.

    Raises:
        ValueError: If ``names`` is neither a string nor several, a name cannot be read,
            ``k`` is not in 1 ... K, or the model has not as many classes as there are
            languages, or gives NaN.

    Example:
        >>> classify("Papadopoulos", k=1)[0][0]
        'Greek'
    """
    single = isinstance(names, str)
    several = [names] if single else checks.as_strings("names", names)
    several = list(map(normalise, several))
    model = _shipped() if model is None else model
    languages = getattr(model, "languages", LANGUAGES)
    checks.sizes(k=k)
    if k > len(languages):
        checks.refuse("k", k, f"1 ... {len(languages)}")
    if not several:
        return []
    logs = log_probabilities(model, several)
    if logs.shape[1] != len(languages) or logs.isnan().any():
        raise ValueError(
            f"model has {logs.shape[1]} classes; accepted: {len(languages)}, or its "
            "own list of languages"
        )
    best = logs.exp().topk(int(k))
    rows = [
        [(languages[label], p) for label, p in zip(*row, strict=True)]
        for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    return rows[0] if single else rows
