"""Training a language model."""

import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from tqdm import tqdm

from companion.language_model import detach_state
from companion.measuring import perplexity, wide
from companion.stepping import take_step
from companion.support import arguments, checks

Batches = Iterable[tuple[Tensor, Tensor]]


class Epoch(NamedTuple):
    """What one epoch of :func:`fit` left behind.

    Attributes:
        number: 1 for the first.
        train: Mean cross-entropy over the epoch's tokens, nats per token.
        norm: Largest norm of the gradient before clipping.
        speed: Tokens per second.
    """

    number: int
    train: float
    norm: float
    speed: float


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
        Mean cross-entropy, nats per token, weighted by tokens; the number of tokens;
        the largest norm of a gradient before clipping.

    Raises:
        ValueError: If there is no minibatch, or one is not as said (-100, which PyTorch
            leaves out, is no id), a bidirectional model should carry its state, or as
            :func:`~companion.stepping.take_step`.
        FloatingPointError: As :func:`~companion.stepping.take_step`; a note gives the
            norm of the gradient one step earlier.

    Example:
        >>> from companion.language_model import LanguageModel
        >>> model = LanguageModel(nn.RNN(4, 3), vocab_size=4, init_std=0)  # uniform
        >>> optimiser = torch.optim.SGD(model.parameters(), lr=1)
        >>> batches = [(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, 3]]))]
        >>> nats, tokens, _ = train_epoch(model, batches, optimiser, carry_state=False)
        >>> round(perplexity(nats), 4), tokens
        (4.0, 3)
    """
    arguments.training(model, optimiser, carry_state, max_norm)
    checks.sizes(epoch=epoch)
    checks.kind("batches", batches, Iterable, "pairs X, Y")
    model.train()
    state, total, tokens, largest, norm = None, 0.0, 0, 0.0, math.nan
    for step, pair in enumerate(batches, start=1):
        X, Y = arguments.minibatch(pair, model)
        state = detach_state(state) if carry_state else None
        logits, state = model(X, state)
        Y = checks.ids(Y, logits.shape[-1], name="Y")
        loss = F.cross_entropy(wide(logits), Y.T.reshape(-1))
        where = f"epoch {epoch}, step {step}"
        try:
            value, norm = take_step(model, loss, optimiser, max_norm, where)
        except FloatingPointError as error:
            if step > 1:
                error.add_note(f"The norm of the gradient one step earlier: {norm:.3g}")
            raise
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
    after_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train for some epochs, which in a terminal a progress bar shows.

    Args:
        model: As for :func:`train_epoch`.
        make_batches: Called once an epoch, returns its minibatches.
        optimiser: As for :func:`train_epoch`.
        num_epochs: Epochs, 1 or more.
        carry_state: As for :func:`train_epoch`.
        max_norm: As for :func:`train_epoch`.
        after_epoch: Called with each epoch's result, to print it, to measure the model
            on other text, or to keep a copy of it.

    Returns:
        One :class:`Epoch` each.

    Raises:
        ValueError: If an argument is not as said, and as :func:`train_epoch`.
        FloatingPointError: As :func:`train_epoch`.

    Example:
        >>> from companion.language_model import LanguageModel
        >>> model = LanguageModel(nn.RNN(4, 3), vocab_size=4)
        >>> optimiser = torch.optim.SGD(model.parameters(), lr=1)
        >>> batches = [(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, 3]]))]
        >>> history = fit(model, lambda: batches, optimiser, 2, carry_state=False)
        >>> [epoch.number for epoch in history]
        [1, 2]
    """
    arguments.training(model, optimiser, carry_state, max_norm)
    checks.sizes(num_epochs=num_epochs)
    checks.kind("make_batches", make_batches, Callable, "a function of no argument")
    checks.kind("after_epoch", after_epoch, (Callable, type(None)), "a function, None")
    history: list[Epoch] = []
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
            history.append(Epoch(number, train, norm, speed))
            bar.set_postfix(perplexity=f"{perplexity(train):.2f}")
            if after_epoch is not None:
                after_epoch(history[-1])
    return history
