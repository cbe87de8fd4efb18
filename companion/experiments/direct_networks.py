"""Laboratory A: networks with direct connections, trained on the whole book."""

import math
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import batching
from companion.clipping import clip_grad_norm_
from companion.experiments.scoring import (
    PARTS,
    TOKENS,
    log_probabilities,
    parts,
    score,
    split_parameters,
)
from companion.laboratory.direct import Contexts, DirectLanguageModel
from companion.language_model import LanguageModel, detach_state
from companion.measuring import evaluate, perplexity


class Window(nn.Module):
    """Feed-forward units in place of a recurrent layer: they see the last few tokens.

    The state it hands on is those tokens but one, so that a text may be cut anywhere.
    """

    def __init__(self, vocab_size: int, hidden: int, width: int):
        super().__init__()
        self.hidden_size, self.width = hidden, width
        self.first = nn.Linear(vocab_size * width, hidden)
        self.second = nn.Linear(hidden, hidden)

    def forward(self, inputs: Tensor, state: Tensor | None = None):
        """Return the units at every step, and the last tokens."""
        if state is None:
            state = inputs.new_zeros(self.width - 1, *inputs.shape[1:])
        both, steps = torch.cat([state, inputs]), len(inputs)
        seen = [both[k : k + steps] for k in range(self.width)]
        units = self.first(torch.cat(seen, -1)).relu()
        return self.second(units).tanh(), both[steps:]


def build(
    train: Tensor,
    vocab_size: int,
    hidden: int,
    longest: int,
    folds: int,
    dropout: float,
    input_dropout: float,
    recurrent: bool = True,
) -> LanguageModel:
    """Return a network, with direct connections unless `longest` is 0."""
    if recurrent:
        layer = nn.LSTM(vocab_size, hidden)
    else:
        layer = Window(vocab_size, hidden, longest)
    options = {
        "init_std": 1 / math.sqrt(hidden),
        "dropout": dropout,
        "input_dropout": input_dropout,
    }
    if not longest:
        return LanguageModel(layer, vocab_size, **options)
    contexts = Contexts(train, longest, vocab_size)
    return DirectLanguageModel(layer, contexts, folds, **options)


def network(
    hidden: int,
    seed: int,
    *,
    longest: int = 6,
    folds: int = 2,
    dropout: float = 0.0,
    input_dropout: float = 0.1,
    epochs: int = 8,
    rate: float = 4e-3,
    table_rate: float = 0.3,
    decay: float = 0.5,
    dynamic: tuple[float, float] | None = None,
    test: bool = False,
    recurrent_layer: bool = True,
    gates: bool = True,
) -> dict:
    """Train a network, with direct connections unless `longest` is 0.

    Adam with one learning-rate cycle for the recurrent part, of which the exponential
    moving average (decay 0.99 a step, less at first) is what is measured; Adagrad for
    the tables, with the penalty ``decay * sum(E[row] ** 2) / counts[row]``. The last
    epoch counts: none is chosen. The test text is read only if asked for. Without a
    recurrent layer the hidden units see the last `longest` tokens; without gates, every
    gate stays at 1.
    """
    train, validation, test_text, vocab = parts()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    began = time.process_time()
    sizes = (len(vocab), hidden, longest, folds)
    model = build(train, *sizes, dropout, input_dropout, recurrent_layer)
    if not gates:
        for p in (model.W_hg, model.W_sg, model.b_g):
            p.requires_grad_(False)
    recurrent, tables = split_parameters(model)
    optimiser = torch.optim.Adam(recurrent, rate)
    adagrad = None if tables is None else torch.optim.Adagrad([tables], table_rate)
    total = epochs * (len(train) // TOKENS + 1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=total, pct_start=0.15, final_div_factor=50
    )
    average, steps = [p.detach().clone() for p in recurrent], 0
    curve, measuring = [], 0.0
    for epoch in range(1, epochs + 1):
        model.train()
        state, nats, batches = None, 0.0, 0
        for X, Y in batching.sequential_batches(train, 32, 50, generator=generator):
            state, extra = detach_state(state), 0
            if tables is None:
                logits, state = model(X, state)
                loss = F.cross_entropy(logits, Y.T.reshape(-1))
            else:
                loss, of_tables, penalty, state = model.losses(X, Y, state)
                extra = of_tables + decay * penalty
            model.zero_grad()
            (loss + extra).backward()
            clip_grad_norm_(recurrent, 1.0)
            optimiser.step()
            cycle.step()
            if adagrad:
                adagrad.step()
            steps += 1
            for mean, p in zip(average, recurrent, strict=True):
                mean.lerp_(p.detach(), 1 - min(0.99, steps / (steps + 10)))
            nats, batches = nats + loss.item(), batches + 1
        began_measuring = time.process_time()
        last = swap(recurrent, average)
        curve.append(
            {
                "epoch": epoch,
                "train": perplexity(nats / batches),
                "validation": perplexity(evaluate(model, validation)),
            }
        )
        measuring += time.process_time() - began_measuring
        curve[-1]["seconds"] = time.process_time() - began - measuring
        if epoch < epochs:
            swap(recurrent, last)
    result = {
        "curve": curve,
        "seconds": curve[-1]["seconds"],
        "parameters": {
            "recurrent": sum(p.numel() for p in recurrent),
            "rows": 0 if tables is None else model.contexts.size * len(vocab),
        },
        "scores": {},
    }
    sums = None if tables is None else adagrad.state[tables]["sum"]
    for part, text in zip(PARTS, (validation, test_text), strict=True):
        if part == "test" and not test:
            continue
        logs = {"static": log_probabilities(model, text)}
        if dynamic:
            logs["dynamic"] = log_probabilities(
                model, text, rate=dynamic[0], table_rate=dynamic[1], sums=sums
            )
        result[part] = {way: score(values) for way, values in logs.items()}
        result["scores"][part] = {way: v.tolist() for way, v in logs.items()}
    return result


def swap(parameters: list[nn.Parameter], values: list[Tensor]) -> list[Tensor]:
    """Put values into parameters, and return copies of what stood there."""
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, value in zip(parameters, values, strict=True):
            p.copy_(value)
    return before
