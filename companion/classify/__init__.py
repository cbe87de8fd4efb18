"""The classifier that ships, which names the languages of any surname.

The command ``python -m companion.classify`` prints what :func:`classify` returns.
"""

import functools
from collections.abc import Iterable

from torch import nn

from companion.classifier import log_probabilities
from companion.classify.door import normalise
from companion.classify.joint import JointClassifier
from companion.classify.stored import read
from companion.datasets import LANGUAGES
from companion.support import checks


def load() -> JointClassifier:
    """Return the classifier that ships with the package.

    ``python -m companion.experiments.train_classifier`` made it, from all names but a
    test part; :func:`~companion.classify.stored.provenance` tells its settings and
    scores.

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
    (:func:`companion.classify.door.normalise`): capitals, blanks at the ends and
    accents make no difference; another script, digits and the like are refused. The
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
