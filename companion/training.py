"""Training a language model, and measuring it honestly."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from tqdm import tqdm

from companion.clipping import clip_grad_norm_
from companion.language_model import detach_state, evaluating

Batches = Iterable[tuple[Tensor, Tensor]]


class Epoch(NamedTuple):
    """What one epoch of :func:`fit` left behind.

    Attributes:
        number: 1 for the first.
        train: Mean cross-entropy over the epoch's tokens, nats per token.
        held_out: The same on held-out text after the epoch, or None.
        norm: Largest norm of the gradient before clipping.
        speed: Tokens per second, held-out text not counted.
    """

    number: int
    train: float
    held_out: float | None
    norm: float
    speed: float


def perplexity(nats: float) -> float:
    """Return the exponential of a mean cross-entropy: ``exp(nats)``.

    It is the geometric mean of ``1 / p`` over the tokens, p being the probability that
    the model gave to the token that came: 1 for a perfect model, V for a uniform one.

    Args:
        nats: Mean cross-entropy, nats per token. Average over *tokens* first; the mean
            of the perplexities of minibatches is larger.

    Returns:
        The perplexity; infinity where it exceeds the range of a float.
    """
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


@torch.no_grad()
def evaluate(model: nn.Module, ids: Tensor, *, chunk: int = 1000) -> float:
    """Measure a model on a text, read once from left to right, its state carried on.

    Args:
        model: Maps ids ``(1, n)`` and a state to logits ``(n, V)`` and a new state.
        ids: The text, shape ``(n,)``, n at least 2.
        chunk: Tokens of one call; the result does not depend on it.

    Returns:
        Mean cross-entropy of the ``n - 1`` tokens after the first, nats per token.

    Raises:
        ValueError: If there are fewer than two ids or ``chunk`` is below 1.
    """
    if len(ids) < 2:
        raise ValueError(f"ids holds {len(ids)} tokens; accepted: 2 or more")
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; accepted: 1 or more")
    with evaluating(model):
        state, total = None, 0.0
        for start in range(0, len(ids) - 1, chunk):
            targets = ids[start + 1 : start + 1 + chunk]
            inputs = ids[start : start + len(targets)]
            logits, state = model(inputs.unsqueeze(0), state)
            total += F.cross_entropy(logits, targets, reduction="sum").item()
    return total / (len(ids) - 1)


def train_epoch(
    model: nn.Module,
    batches: Batches,
    optimiser: Optimizer,
    *,
    carry_state: bool,
    max_norm: float = 1.0,
    epoch: int = 1,
) -> tuple[float, int, float]:
    """Take one optimiser step a minibatch.

    Args:
        model: Maps ids ``(N, T)`` and a state to logits ``(T*N, V)`` and a new state.
        batches: Pairs ``X, Y`` of ids, both ``(N, T)``.
        optimiser: Owns the parameters of the model.
        carry_state: Whether a minibatch begins with the state (detached) in which the
            one before it ended. True belongs to sequential batches, False to random
            ones, which begin with a fresh state each.
        max_norm: Radius to which the gradient is clipped before each step.
        epoch: Number of this epoch, for error messages.

    Returns:
        Mean cross-entropy in nats per token, weighted by tokens; the number of tokens;
        the largest gradient norm before clipping.

    Raises:
        ValueError: If there is no minibatch.
        FloatingPointError: If the loss or the gradient stops being finite; the message
            gives the epoch, the step and the norm of the gradient. The step is not
            taken: the parameters are those that produced the loss.
    """
    model.train()
    state, total, tokens, largest, norm = None, 0.0, 0, 0.0, math.nan
    for step, (X, Y) in enumerate(batches, start=1):
        state = detach_state(state) if carry_state else None
        logits, state = model(X, state)
        loss = F.cross_entropy(logits, Y.T.reshape(-1))
        value = loss.item()
        where = f"epoch {epoch}, step {step}"
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at {where}; the norm of the gradient one step "
                f"earlier was {norm:.3g} (nan: no earlier step): lower the learning "
                "rate or clip harder"
            )
        optimiser.zero_grad()
        loss.backward()
        try:
            norm = clip_grad_norm_(model, max_norm)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error} at {where}; the loss is {value:.3g}"
            ) from None
        optimiser.step()
        largest = max(largest, norm)
        total += value * Y.numel()
        tokens += Y.numel()
    if not tokens:
        raise ValueError("batches is empty; accepted: at least one minibatch")
    return total / tokens, tokens, largest


def fit(
    model: nn.Module,
    make_batches: Callable[[], Batches],
    optimiser: Optimizer,
    num_epochs: int,
    *,
    carry_state: bool,
    max_norm: float = 1.0,
    held_out: Tensor | None = None,
    patience: int | None = None,
    after_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train for some epochs, or until held-out text says that it is enough.

    In a terminal a progress bar shows the epochs; elsewhere nothing is printed.

    Args:
        model: The model.
        make_batches: Called once an epoch, returns its minibatches.
        optimiser: Owns the parameters of the model.
        num_epochs: Epochs, at most.
        carry_state: See :func:`train_epoch`.
        max_norm: See :func:`train_epoch`.
        held_out: Text, shape ``(n,)``, on which :func:`evaluate` runs after each epoch.
        patience: Stop after this many epochs without a better ``held_out``, and put the
            best parameters back into the model. None: run all epochs and keep the last
            parameters.
        after_epoch: Called with each epoch's result, for printing.

    Returns:
        One :class:`Epoch` each.

    Raises:
        ValueError: If ``num_epochs`` is below 1, or ``patience`` is below 1 or given
            without ``held_out``.
        FloatingPointError: See :func:`train_epoch`.
    """
    if num_epochs < 1:
        raise ValueError(f"num_epochs is {num_epochs}; accepted: 1 or more")
    if patience is not None and (patience < 1 or held_out is None):
        raise ValueError(
            f"patience is {patience}; accepted: 1 or more, together with held_out"
        )
    history: list[Epoch] = []
    best, best_epoch, best_parameters = math.inf, 0, None
    with tqdm(range(1, num_epochs + 1), unit="epoch", disable=None) as bar:
        for number in bar:
            began = time.perf_counter()
            train, tokens, norm = train_epoch(
                model,
                make_batches(),
                optimiser,
                carry_state=carry_state,
                max_norm=max_norm,
                epoch=number,
            )
            speed = tokens / (time.perf_counter() - began)
            score = None if held_out is None else evaluate(model, held_out)
            history.append(Epoch(number, train, score, norm, speed))
            bar.set_postfix(perplexity=f"{perplexity(train):.2f}")
            if after_epoch is not None:
                after_epoch(history[-1])
            if patience is None:
                continue
            if score < best:
                best, best_epoch = score, number
                best_parameters = copy.deepcopy(model.state_dict())
            elif number - best_epoch >= patience:
                break
    if best_parameters is not None:
        model.load_state_dict(best_parameters)
    return history
