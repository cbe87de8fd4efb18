"""How well a language model predicts: cross-entropy and perplexity."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.language_model import evaluating
from companion.support import checks


def perplexity(nats: float) -> float:
    """Return the exponential of a mean cross-entropy: ``exp(nats)``.

    It is the geometric mean of ``1 / p`` over the tokens, p being the probability that
    the model gave to the token that came: 1 for a perfect model, V for a uniform one.

    Args:
        nats: Mean cross-entropy, nats per token. Average over *tokens* first; the mean
            of the perplexities of minibatches is larger.

    Returns:
        The perplexity; infinity where it exceeds the range of a float.

    Raises:
        ValueError: If ``nats`` is not one number.

    Example:
        >>> round(perplexity(math.log(28)), 6)
        28.0
    """
    if isinstance(nats, Tensor) and nats.numel() == 1:
        nats = nats.item()
    checks.number("nats", nats, "a number, nats per token", lambda _: True)
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


@torch.no_grad()
def evaluate(
    model: nn.Module, ids: Tensor, *, chunk: int = 1000, look_ahead: bool = False
) -> float:
    """Measure a model on a text, read once from left to right, its state carried on.

    Args:
        model: Maps ids ``(1, n)`` and a state to logits ``(n, V)`` and a new state.
        ids: The text, shape ``(n,)``, n at least 2.
        chunk: Tokens of one call, 1 or more; the result does not depend on it.
        look_ahead: Whether to measure a model of which a part is ``bidirectional`` all
            the same: it has seen the tokens that it is asked for. Its result depends on
            ``chunk``, and says how well it copies, not how well it predicts.

    Returns:
        Mean cross-entropy of the ``n - 1`` tokens after the first, nats per token.

    Raises:
        ValueError: If an argument is not as said, an id is not of the vocabulary, or
            the model is bidirectional and ``look_ahead`` was not asked for.

    Example:
        >>> from companion.language_model import LanguageModel
        >>> model = LanguageModel(nn.RNN(4, 3), vocab_size=4, init_std=0)  # uniform
        >>> round(perplexity(evaluate(model, torch.tensor([1, 2, 3]))), 4)
        4.0
    """
    checks.flags(look_ahead=look_ahead)
    checks.sizes(chunk=chunk)
    if checks.looks_ahead(model) and not look_ahead:
        raise ValueError(
            "model is bidirectional, so it sees the tokens that it should predict; "
            "accepted: a model that reads from left to right, or look_ahead=True"
        )
    ids = checks.reading(model, ids)
    with evaluating(model):
        state, total = None, 0.0
        for start in range(0, len(ids) - 1, chunk):
            targets = ids[start + 1 : start + 1 + chunk]
            inputs = ids[start : start + len(targets)]
            logits, state = model(inputs.unsqueeze(0), state)
            targets = checks.ids(targets, logits.shape[-1])
            total += F.cross_entropy(wide(logits), targets, reduction="sum").item()
    return total / (len(ids) - 1)


def wide(logits: Tensor) -> Tensor:
    """Return scores of half precision as float32: sums would be rounded too much."""
    return logits.float() if logits.element_size() == 2 else logits
