"""The table of abuses: rows of language model, measuring, training, generation."""

import torch
from torch import nn

from companion import generation, language_model, measuring, stepping, training
from companion.language_model import LanguageModel
from tests.abuse_kinds import (
    abuse_device,
    abuse_flag,
    abuse_generator,
    abuse_ids,
    abuse_nats,
    abuse_number,
    abuse_optional_size,
    abuse_size,
    abuse_string,
)
from tests.abuse_kinds_models import (
    abuse_any_state,
    abuse_batches,
    abuse_function,
    abuse_layer,
    abuse_logits,
    abuse_loss,
    abuse_make_batches,
    abuse_model,
    abuse_optimiser,
    abuse_reading_model,
    abuse_state,
    abuse_vocab,
)
from tests.abuse_values import (
    F64,
    SAME,
    VOCAB,
    Call,
    H,
    V,
    both_ways,
    drawing,
    layer,
    minibatch,
    model,
    normal,
    pairs,
    pieces,
    state,
    stream,
)

make_model = model  # where an argument has that name

NOT_YET = {}
NO_ARGUMENT = set()
INSIDE = {
    "measuring.wide": "called on the logits of a model",
    "training.Epoch": "a record",
}


def trained(function, finish):
    """Call with an optimiser of the model, and return what that learned besides."""

    def call(model, optimiser=..., **others):
        if optimiser is ...:
            owner = model if isinstance(model, nn.Module) else layer()
            optimiser = torch.optim.SGD(owner.parameters(), lr=0.1)
        returned = function(model=model, optimiser=optimiser, **others)
        return finish(returned), pieces(model)

    return call


def stepped(model, loss=..., optimiser=..., **others):
    """Take a step, along the loss of one minibatch unless another is given."""
    owner = model if isinstance(model, nn.Module) else layer()
    if loss is ...:
        made = owner if isinstance(owner, LanguageModel) else make_model()
        loss = made(minibatch())[0].square().mean()
    if optimiser is ...:
        optimiser = torch.optim.SGD(owner.parameters(), lr=0.1)
    return stepping.take_step(model, loss, optimiser, **others), pieces(model)


def in_evaluation(model):
    with language_model.evaluating(model):
        return [module.training for module in model.modules()]


SAMPLED = {
    "temperature": abuse_number,
    "top_k": abuse_optional_size,
    "generator": abuse_generator,
}
ANY_RADIUS = {("max_norm", "huge"): SAME, ("max_norm", "infinite"): SAME}


CALLS = {
    "language_model.evaluating": Call(
        in_evaluation, lambda: {"model": model()}, {"model": abuse_model}
    ),
    "language_model.detach_state": Call(
        language_model.detach_state,
        lambda: {"state": state()},
        {"state": abuse_any_state},
        shares="cuts a graph and copies nothing",
    ),
    "language_model.LanguageModel": Call(
        drawing(LanguageModel),
        lambda: {
            "layer": layer(),
            "vocab_size": V,
            "init_std": 0.5,
            "dropout": 0.1,
            "input_dropout": 0.1,
        },
        {
            "layer": abuse_layer,
            "vocab_size": abuse_size,
            "init_std": abuse_number,
            "dropout": abuse_number,
            "input_dropout": abuse_number,
            "generator": abuse_generator,
        },
        {("init_std", "huge"): lambda a: 1e300 * normal(H, V)},
        finish=lambda made: made.W_hq.detach().clone(),
    ),
    "language_model.LanguageModel.begin_state": Call(
        lambda **a: both_ways().begin_state(**a),
        lambda: {"batch_size": 2, "device": "cpu"},
        {"batch_size": abuse_size, "device": abuse_device},
    ),
    "language_model.LanguageModel.forward": Call(
        lambda **a: model()(**a),
        lambda: {"ids": minibatch(), "state": state()},
        {"ids": abuse_ids, "state": abuse_state},
        half=True,
    ),
    "measuring.perplexity": Call(
        measuring.perplexity, lambda: {"nats": 1.5}, {"nats": abuse_nats}
    ),
    "measuring.evaluate": Call(
        measuring.evaluate,
        lambda: {"model": model(), "ids": stream(), "chunk": 7, "look_ahead": False},
        {
            "model": abuse_reading_model,
            "ids": abuse_ids,
            "chunk": abuse_size,
            "look_ahead": abuse_flag,
        },
        half=True,
    ),
    "stepping.take_step": Call(
        stepped,
        lambda: {"model": model(), "max_norm": 1e6, "where": "step 1"},
        {
            "model": abuse_model,
            "loss": abuse_loss,
            "optimiser": abuse_optimiser,
            "max_norm": abuse_number,
            "where": abuse_string,
        },
        ANY_RADIUS | {("where", "empty"): SAME},
        writes=frozenset({"model"}),
    ),
    "training.train_epoch": Call(
        trained(training.train_epoch, lambda result: result),
        lambda: {
            "model": model(),
            "batches": pairs(),
            "carry_state": True,
            "max_norm": 1e6,
            "epoch": 1,
        },
        {
            "model": abuse_reading_model,
            "batches": abuse_batches,
            "optimiser": abuse_optimiser,
            "carry_state": abuse_flag,
            "max_norm": abuse_number,
            "epoch": abuse_size,
        },
        ANY_RADIUS,
        writes=frozenset({"model"}),
        half=True,
    ),
    "training.fit": Call(
        trained(training.fit, lambda history: [(e.train, e.norm) for e in history]),
        lambda: {
            "model": model(),
            "make_batches": pairs,
            "num_epochs": 2,
            "carry_state": True,
            "max_norm": 1e6,
        },
        {
            "model": abuse_reading_model,
            "make_batches": abuse_make_batches,
            "optimiser": abuse_optimiser,
            "num_epochs": abuse_size,
            "carry_state": abuse_flag,
            "max_norm": abuse_number,
            "after_epoch": abuse_function,
        },
        ANY_RADIUS,
        writes=frozenset({"model"}),
    ),
    "generation.sample": Call(
        drawing(generation.sample),
        lambda: {
            "logits": torch.tensor([0.5, -1.0, 32.0, 1.5, -3.0], dtype=F64),
            "temperature": 1.0,
            "top_k": 1,
        },
        {"logits": abuse_logits, **SAMPLED},
        {("temperature", "huge"): SAME},
    ),
    "generation.generate": Call(
        drawing(generation.generate),
        lambda: {
            "prefix": "ab",
            "num_tokens": 3,
            "model": model(),
            "vocab": VOCAB,
            "temperature": 1.0,
            "top_k": 1,
        },
        {
            "prefix": abuse_string,
            "num_tokens": abuse_size,
            "model": abuse_reading_model,
            "vocab": abuse_vocab,
            **SAMPLED,
        },
        {("num_tokens", "zero"): lambda a: "ab", ("temperature", "huge"): SAME},
    ),
}
