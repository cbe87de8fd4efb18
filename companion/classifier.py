"""Name classifiers for packed minibatches: training, prediction, and one that is ready.

:func:`classify` names the languages of any surname, by the classifier that ships with
the package unless it is given another.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from companion.checks import check_sizes
from companion.datasets import LANGUAGES
from companion.joint import JointClassifier
from companion.language_model import evaluating
from companion.names import ALPHABET, ids
from companion.normalise import normalise
from companion.padding import pack, pad
from companion.stepping import take_step
from companion.stored import SHIPPED, read


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
            ids: Padded ids, int64, shape ``(T, N)``, as :func:`companion.padding.pad`
                returns them. What stands after the end of a name is not read.
            lengths: int64, shape ``(N,)``, on the CPU, 1 ... T.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: If the shapes do not fit each other.
        """
        packed = pack(ids, lengths)
        characters = F.embedding(packed.data, self.table)  # (sum of lengths, D)
        kept = self.input_dropout(characters.new_ones(len(characters), 1))
        _, state = self.layer(packed._replace(data=characters * kept))
        h = state[0] if isinstance(self.layer, nn.LSTM) else state  # (L * dirs, N, H)
        last = h[-2:] if self.layer.bidirectional else h[-1:]
        return self.output(self.dropout(torch.cat(tuple(last), dim=1)))


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
        minibatches: Ids, lengths and labels, as those of
            :func:`companion.padding.batches`.
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
        value, _ = take_step(model, loss, optimiser, max_norm, f"step {step}")
        total += len(labels) * value
        count += len(labels)
    if not count:
        raise ValueError("minibatches is empty; accepted: at least one")
    return total / count


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


def load() -> JointClassifier:
    """Return the classifier that ships with the package.

    ``python -m companion.experiments.train_classifier`` made it, from all names but a
    test part; :func:`companion.stored.provenance` tells its settings and scores.

    Returns:
        The network, float32, in evaluation mode, a new one at every call. Its attribute
        ``languages`` names the classes in the order of the labels.
    """
    return read(SHIPPED)


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
        ValueError: If ``names`` is neither a string nor holds strings, a name cannot be
            read, ``k`` is not in 1 ... K, or the model has not as many classes as
            there are languages.
    """
    single = isinstance(names, (str, bytes))  # bytes are one name, which is refused
    try:
        several = [normalise(name) for name in ([names] if single else names)]
    except TypeError:
        raise ValueError(
            f"names is {names!r}; accepted: a string, or several"
        ) from None
    model = _shipped() if model is None else model
    languages = getattr(model, "languages", LANGUAGES)
    if isinstance(k, bool) or k not in range(1, len(languages) + 1):
        raise ValueError(f"k is {k}; accepted: 1 ... {len(languages)}")
    if not several:
        return []
    logs = log_probabilities(model, several)
    if logs.shape[1] != len(languages):
        raise ValueError(
            f"model has {logs.shape[1]} classes; accepted: {len(languages)}, or its "
            "own list of languages"
        )
    best = logs.exp().topk(int(k))
    rows = [
        [(languages[label], p) for label, p in zip(labels, values, strict=True)]
        for labels, values in zip(
            best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]
    return rows[0] if single else rows
