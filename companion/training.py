"""Training a language model, and stopping when it is enough."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from tqdm import tqdm

from companion.checks import (
    as_ids,
    check_device,
    check_flags,
    check_ids,
    check_kind,
    check_number,
    check_optimiser,
    check_reading,
    check_sizes,
    looks_ahead,
    refuse,
)
from companion.clipping import clip_grad_norm_
from companion.language_model import detach_state
from companion.measuring import evaluate, perplexity, wide

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


def take_step(
    model: nn.Module, loss: Tensor, optimiser: Optimizer, max_norm: float, where: str
) -> tuple[float, float]:
    """Take one step along the clipped gradient: all training here goes through this.

    Args:
        model: The model.
        loss: Its loss, shape ``()``.
        optimiser: Owns the parameters of the model.
        max_norm: Radius to which the gradient is clipped; infinite: no clipping.
        where: Of which step to speak in error messages, say ``"step 3"``.

    Returns:
        The loss, and the norm of the gradient before clipping.

    Raises:
        ValueError: If ``loss`` is no scalar with a gradient, ``max_norm`` not above
            zero, or the optimiser owns no parameter of the model.
        FloatingPointError: If the loss or the gradient is not finite. The step is not
            taken: the parameters are those that produced the loss.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> loss = 6 * model.weight.sum() - 6 * model.weight.item() + 1
        >>> optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> take_step(model, loss, optimiser, max_norm=1, where="step 1")
        (1.0, 6.0)
    """
    check_optimiser(optimiser, model)
    check_kind("where", where, str, "a string")
    check_kind("loss", loss, Tensor, "a scalar tensor with a gradient")
    if loss.dim() or not loss.requires_grad:
        refuse("loss", loss, "a scalar tensor with a gradient")
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss is {value} at {where}: lower the learning rate or clip harder"
        )
    optimiser.zero_grad()
    loss.backward()
    try:
        norm = clip_grad_norm_(model, max_norm)
    except FloatingPointError as error:
        error.args = (f"{error} at {where}; the loss is {value:.3g}",)
        raise
    optimiser.step()
    return value, norm


def _minibatch(pair: tuple[Tensor, Tensor], model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return X and Y; refuse what is no pair of ids of one shape."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        refuse("a minibatch", pair, "a pair X, Y")
    X, Y = as_ids(pair[0], name="X", dims=2), as_ids(pair[1], name="Y", dims=2)
    if X.shape != Y.shape:
        raise ValueError(f"Y has shape {tuple(Y.shape)}; accepted: {tuple(X.shape)}")
    check_device("X", X, next(model.parameters(), None))
    vocab_size = getattr(model, "vocab_size", None)
    return (X if vocab_size is None else check_ids(X, vocab_size, name="X")), Y


def _check_training(
    model: nn.Module, optimiser: Optimizer, carry_state: bool, max_norm: float
) -> None:
    check_optimiser(optimiser, model)
    check_flags(carry_state=carry_state)
    if carry_state and looks_ahead(model):
        raise ValueError(
            "carry_state is True; accepted for a bidirectional model: False (its way "
            "back begins at the end of each minibatch)"
        )
    check_number("max_norm", max_norm, "a number above 0", lambda r: r > 0)


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
        ValueError: If there is no minibatch, one is not a pair of ids of one shape, an
            id is not of the vocabulary (-100, which PyTorch leaves out, neither), the
            optimiser owns no parameter of the model, or a bidirectional model should
            carry its state.
        FloatingPointError: As :func:`take_step`; the message gives epoch and step, and
            a note the norm of the gradient one step earlier.

    Example:
        >>> from companion.language_model import LanguageModel
        >>> model = LanguageModel(nn.RNN(4, 3), vocab_size=4, init_std=0)  # uniform
        >>> optimiser = torch.optim.SGD(model.parameters(), lr=1)
        >>> ids = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> nats, tokens, norm = train_epoch(
        ...     model, [(ids, ids)], optimiser, carry_state=False
        ... )
        >>> round(perplexity(nats), 4), tokens
        (4.0, 6)
    """
    _check_training(model, optimiser, carry_state, max_norm)
    check_sizes(epoch=epoch)
    check_kind("batches", batches, Iterable, "pairs X, Y")
    model.train()
    state, total, tokens, largest, norm = None, 0.0, 0, 0.0, math.nan
    for step, pair in enumerate(batches, start=1):
        X, Y = _minibatch(pair, model)
        state = detach_state(state) if carry_state else None
        logits, state = model(X, state)
        Y = check_ids(Y, logits.shape[-1], name="Y")
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
        held_out: Text, shape ``(n,)``, on which
            :func:`~companion.measuring.evaluate` runs after each epoch.
        patience: Stop after this many epochs without a better ``held_out``, and put the
            best parameters back into the model. None: run all epochs and keep the last
            parameters.
        after_epoch: Called with each epoch's result, for printing.

    Returns:
        One :class:`Epoch` each.

    Raises:
        ValueError: If ``num_epochs`` is not an integer from 1 up, ``patience`` neither
            and not None, or given without ``held_out``, and as :func:`train_epoch` and
            :func:`~companion.measuring.evaluate`.
        FloatingPointError: See :func:`train_epoch`.
    """
    _check_training(model, optimiser, carry_state, max_norm)
    check_sizes(num_epochs=num_epochs)
    if patience is not None:
        check_sizes(patience=patience)
        if held_out is None:
            raise ValueError(
                f"patience is {patience}; accepted: 1 or more, with held_out"
            )
    check_kind("make_batches", make_batches, Callable, "a function of no argument")
    check_kind("after_epoch", after_epoch, (Callable, type(None)), "a function, None")
    if held_out is not None:
        held_out = check_reading(model, held_out)
        if looks_ahead(model):
            refuse("held_out", held_out, "None for a bidirectional model")
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
