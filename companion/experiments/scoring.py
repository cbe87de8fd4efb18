"""What the experiments on text share: the book in parts, scores, and mixtures."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import datasets
from companion.clipping import clip_grad_norm_
from companion.laboratory.direct import DirectLanguageModel
from companion.language_model import detach_state
from companion.text import Vocab, clean

TOKENS = 1600  # of a minibatch
PARTS = ("validation", "test")


def corpus(join: str = " ") -> tuple[Tensor, Vocab]:
    text = clean(datasets.time_machine(), join=join)
    vocab = Vocab(text)
    return vocab.encode(text), vocab


def split(ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First 80 % for training, then 10 % for validation, the last 10 % for the test."""
    a, b = len(ids) * 8 // 10, len(ids) * 9 // 10
    return ids[:a], ids[a:b], ids[b:]


def parts() -> tuple[Tensor, Tensor, Tensor, Vocab]:
    """Return the three parts of the book, as ids, and its vocabulary."""
    ids, vocab = corpus()
    return *split(ids), vocab


# --- Scores of single tokens --------------------------------------------------------


def score(logs: Tensor) -> float:
    return math.exp(-logs.mean())


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], nn.Parameter]:
    """Return what the recurrent network learns, and the tables or None."""
    tables = getattr(model, "tables", None)
    learned = [p for p in model.parameters() if p.requires_grad]
    return [p for p in learned if p is not tables], tables


def learning(model: nn.Module, X: Tensor, targets: Tensor, state) -> tuple:
    """Return the losses of one chunk: of the network, and of its table."""
    if isinstance(model, DirectLanguageModel):
        return model.losses(X, targets[None], state)[:2]
    return F.cross_entropy(model(X, state)[0], targets), 0


def log_probabilities(
    model: nn.Module,
    ids: Tensor,
    rate: float = 0.0,
    *,
    table_rate: float = 0.0,
    sums: Tensor | None = None,
    chunk: int = 20,
) -> Tensor:
    """Natural logarithm of the probability of each token but the first.

    With rates above 0 the model learns from each chunk *after* it has been scored: the
    recurrent part by a clipped gradient step on the mean loss (Mikolov et al. 2010;
    Krause et al. 2018), the table by Adagrad, whose sums of squares go on from training
    and whose gradients are weighed as the tokens of a training minibatch were.
    """
    model = copy.deepcopy(model).eval()
    recurrent, tables = split_parameters(model)
    optimiser = torch.optim.SGD(recurrent, rate)
    adagrad = None
    if tables is not None and table_rate:
        adagrad = torch.optim.Adagrad([tables], table_rate)
        adagrad.state[tables]["sum"] = sums.clone()
    state, logs = None, []
    for start in range(0, len(ids) - 1, chunk):
        targets = ids[start + 1 : start + 1 + chunk]
        X, before = ids[start : start + len(targets)][None], detach_state(state)
        with torch.no_grad():
            logits, state = model(X, before)
        losses = F.cross_entropy(logits, targets, reduction="none")
        logs.append(-losses.double())
        if not (rate or table_rate):
            continue
        model.zero_grad()
        loss, of_table = learning(model, X, targets, before)
        (loss + of_table * (len(targets) / TOKENS)).backward()
        if adagrad:
            adagrad.step()
        if rate:
            clip_grad_norm_(recurrent, 1.0)
            optimiser.step()
    return torch.cat(logs)


# --- Mixtures -----------------------------------------------------------------------


def mix(logs: list[Tensor], weights: list[float]) -> Tensor:
    """Logarithm of a weighted mean of probabilities."""
    pairs = [(a, w) for a, w in zip(logs, weights, strict=True) if w]
    return torch.stack([a + math.log(w) for a, w in pairs]).logsumexp(0)


def average(logs: list[Tensor]) -> Tensor:
    return mix(logs, [1 / len(logs)] * len(logs))


def mixed(a: dict[str, Tensor], b: dict[str, Tensor]) -> dict:
    """Mix two models, the weight of the first chosen on the validation text."""
    weight = min(
        (w / 20 for w in range(1, 20)),
        key=lambda w: score(mix([a["validation"], b["validation"]], [w, 1 - w])),
    )
    found = {part: score(mix([a[part], b[part]], [weight, 1 - weight])) for part in a}
    return {"weight": weight, **found}
