"""The words in which functions of the core refuse, exactly, by module."""

import math

import pytest
import torch
from torch import nn

from companion.batching import random_batches
from companion.bptt import AXES, rnn_gradients
from companion.classifier import NameClassifier, log_probabilities
from companion.clipping import clip_grad_norm_
from companion.generation import generate, sample
from companion.language_model import LanguageModel, detach_state, evaluating
from companion.lstm import LSTM
from companion.measuring import evaluate, perplexity
from companion.names import ALPHABET, fold, ids, split
from companion.rnn import RNN, initial_weights
from companion.stepping import take_step
from companion.text import Vocab, clean, clean_lines, one_hot
from companion.training import fit, train_epoch

V = Vocab("abc")
BOTH = LanguageModel(nn.GRU(4, 3, bidirectional=True), 4)
MODEL = LanguageModel(RNN(4, 3), 4)
ADAM = torch.optim.Adam(MODEL.parameters())
SURNAMES = NameClassifier(nn.GRU(59, 4), 2)
LAYER = "an RNN, GRU or LSTM of 59 features, time first, without projection"
HOLDS = "a module, a tensor that holds a gradient, or a list of such tensors"
VECTOR = "floating-point numbers, (V,)"
CLIPPED = torch.zeros(2, requires_grad=True)
ZERO = torch.zeros(1)


def gradients(**changed):
    W, b = torch.zeros(2, 2), torch.zeros(2)
    first = (torch.zeros(3, 1, 2), torch.zeros(3, 1).long(), torch.zeros(1, 2))
    given = dict(zip(AXES, (*first, W, W, b, W, b), strict=True))
    return rnn_gradients(**given | changed)


def draw_nothing():
    return random_batches(range(9), 1, 2, generator=None)


REFUSED = {
    "generator is None; accepted: a Generator, to draw the order": draw_nothing,
    "X is None; accepted: a tensor": lambda: gradients(X=None),
    "b_q is 'b'; accepted: a tensor": lambda: gradients(b_q="b"),
    "targets run from 2 to 2; accepted: 0 ... 1": lambda: gradients(
        targets=torch.full((3, 1), 2)
    ),
    f"layer is Tanh(); accepted: {LAYER}": lambda: NameClassifier(nn.Tanh(), 2),
    f"layer is GRU(58, 4); accepted: {LAYER}": lambda: NameClassifier(nn.GRU(58, 4), 2),
    f"layer is LSTM(59, 4, proj_size=2); accepted: {LAYER}": lambda: NameClassifier(
        nn.LSTM(59, 4, proj_size=2), 2
    ),
    f"layer is GRU(59, 4, batch_first=True); accepted: {LAYER}": lambda: NameClassifier(
        nn.GRU(59, 4, batch_first=True), 2
    ),
    "num_classes is 0; accepted: 1 or more, an integer up to 2147483647": lambda: (
        NameClassifier(nn.GRU(59, 4), 0)
    ),
    "dropout is 1; accepted: 0 up to, not including, 1": lambda: NameClassifier(
        nn.GRU(59, 4), 2, dropout=1
    ),
    "names is 'Ito'; accepted: several strings, say in a list": lambda: (
        log_probabilities(SURNAMES, "Ito")
    ),
    "names is []; accepted: at least one name": lambda: log_probabilities(SURNAMES, []),
    f"parameters is 1; accepted: {HOLDS}": lambda: clip_grad_norm_(1, 1),
    f"one of parameters is 1; accepted: {HOLDS}": lambda: clip_grad_norm_([1], 1),
    f"parameters is [(1,)]; accepted: {HOLDS}": lambda: clip_grad_norm_(ZERO, 1),
    "max_norm is 0; accepted: a number above 0": lambda: clip_grad_norm_(CLIPPED, 0),
    f"logits is None; accepted: {VECTOR}": lambda: sample(None),
    f"logits has shape (1, 2) and dtype torch.float32; accepted: {VECTOR}": lambda: (
        sample(torch.zeros(1, 2))
    ),
    f"logits has shape (0,) and dtype torch.float32; accepted: {VECTOR}": lambda: (
        sample(torch.zeros(0))
    ),
    f"logits has shape (1,) and dtype torch.int64; accepted: {VECTOR}": lambda: sample(
        [1]
    ),
    "logits hold NaN; accepted: numbers (diverged training?)": lambda: sample(
        [0.0, math.nan]
    ),
    "logits hold inf as the largest; accepted: numbers (diverged training?)": lambda: (
        sample([0.0, math.inf])
    ),
    "prefix is 1; accepted: a string": lambda: generate(1, 2, MODEL, V),
    "prefix is ''; accepted: at least one character": lambda: generate("", 2, MODEL, V),
    "prefix 'axy' holds ['x', 'y']; accepted: 'abc'": lambda: generate(
        "axy", 2, MODEL, V
    ),
    "vocab is 'abc'; accepted: a companion.text.Vocab": lambda: generate(
        "a", 2, MODEL, "abc"
    ),
    "model is bidirectional; accepted: one that reads forward": lambda: generate(
        "a", 2, BOTH, V
    ),
    "vocab has 3 tokens; accepted: 4, as the model has": lambda: generate(
        "a", 2, MODEL, Vocab("ab")
    ),
    "ids is on meta; accepted: cpu": lambda: MODEL(ZERO.long()[None].to("meta")),
    "state has shape (1, 1, 3); accepted: (1, 2, 3) for inputs (2, 5)": lambda: (
        LanguageModel(nn.GRU(4, 3), 4)(torch.zeros(2, 5).long(), torch.zeros(1, 1, 3))
    ),
    "state holds a list; accepted: tensors, tuples and None": lambda: detach_state(
        (ZERO, [ZERO])
    ),
    "model is 1; accepted: a torch.nn.Module": lambda: evaluating(1).__enter__(),
    "forget_bias is inf; accepted: a finite number": lambda: LSTM(
        2, 2, forget_bias=math.inf
    ),
    "nats is '1'; accepted: a number, nats per token": lambda: perplexity("1"),
    "look_ahead is 1; accepted: True or False": lambda: evaluate(
        MODEL, [1, 2], look_ahead=1
    ),
    "model is bidirectional, so it sees the tokens that it should predict; accepted: a "
    "model that reads from left to right, or look_ahead=True": lambda: evaluate(
        BOTH, [1, 2]
    ),
    "name is None; accepted: a string": lambda: fold(None),
    "name is 1; accepted: a string": lambda: ids(1),
    "name is ' '; accepted: at least one character that is no blank": lambda: ids(" "),
    f"name is 'a1'; accepted: {ALPHABET!r} after folding, not ['1']": lambda: ids("a1"),
    f"name is '9876543210!'; accepted: {ALPHABET!r} after folding, not "
    "['!', '0', '1', '2', '3', '4', '5', '6', '7', '8']": lambda: ids("9876543210!"),
    "names is 'ab'; accepted: several strings, say in a list": lambda: split("ab", [0]),
    "labels run from -1 to 0; accepted: 0 ... 2147483646": lambda: split(
        ["a", "b"], [0, -1]
    ),
    "test_size is 1; accepted: between 0 and 1": lambda: split(
        ["a", "b"], [0, 0], test_size=1
    ),
    "seed is -1; accepted: 0 or more, an integer up to 2147483647": lambda: split(
        ["a", "b"], [0, 0], seed=-1
    ),
    "2 names, 1 labels; accepted: as many of each": lambda: split(["a", "b"], [0]),
    "init_std is -1; accepted: a number from 0 up": lambda: initial_weights(
        2, init_std=-1
    ),
    "shape is 0; accepted: 1 or more, an integer up to 2147483647": lambda: (
        initial_weights(2, 0, init_std=1)
    ),
    "where is 1; accepted: a string": lambda: take_step(MODEL, ZERO, ADAM, 1, 1),
    "loss is 1.0; accepted: a scalar tensor with a gradient": lambda: take_step(
        MODEL, 1.0, ADAM, 1, "step 1"
    ),
    "text is 1; accepted: a string": lambda: clean(1),
    "text is None; accepted: a string": lambda: clean_lines(None),
    "join is '-'; accepted: ' ' or ''": lambda: clean("a", join="-"),
    "tokens is 1; accepted: a string or a list of strings": lambda: Vocab(1),
    "dtype is torch.int64; accepted: a floating-point torch.dtype, or None": lambda: (
        one_hot([1], 2, dtype=torch.int64)
    ),
    "batches is 1; accepted: pairs X, Y": lambda: train_epoch(
        MODEL, 1, ADAM, carry_state=True
    ),
    "batches is empty; accepted: at least one minibatch": lambda: train_epoch(
        MODEL, [], ADAM, carry_state=True
    ),
    "make_batches is []; accepted: a function of no argument": lambda: fit(
        MODEL, [], ADAM, 1, carry_state=True
    ),
    "after_epoch is 1; accepted: a function, None": lambda: fit(
        MODEL, list, ADAM, 1, carry_state=True, after_epoch=1
    ),
}


@pytest.mark.parametrize(("said", "call"), REFUSED.items(), ids=REFUSED)
def test_what_is_wrong_is_refused_in_these_words(said, call):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (all of it, below)
        call()
    assert str(caught.value) == said
