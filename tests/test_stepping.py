"""Properties of the training step itself; tests/test_training.py takes many of them."""

import math
import re

import pytest
import torch
from torch import nn

from companion.stepping import take_step


@pytest.fixture
def model():
    """Return ``w x`` with w = 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    return model


def step(model, loss, where="step 3"):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    return take_step(model, loss, optimiser, 2.0, where)


def test_it_goes_down_the_clipped_gradient_of_this_loss_alone(model):
    model.weight.grad = torch.full((1, 1), 7.0)  # of an earlier loss
    assert step(model, 8 * model.weight.sum()) == (8.0, 8.0)
    assert model.weight.item() == 1 - 0.5 * 2


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (1.5, "1.5"),
        (torch.ones(2, requires_grad=True), "a tensor (2,) of torch.float32"),
        (torch.ones(()), "a tensor () of torch.float32"),
    ],
)
def test_what_is_no_scalar_with_a_gradient_is_refused(model, loss, found):
    said = f"loss is {found}; accepted: a scalar tensor with a gradient"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        step(model, loss)


def test_the_step_is_named_in_words(model):
    with pytest.raises(ValueError, match=r"^where is 3; accepted: a string$"):
        step(model, model.weight.sum(), where=3)


@pytest.mark.parametrize(
    ("factor", "shift", "said"),
    [
        (1, math.nan, "the loss is nan at step 3"),
        (1, -math.inf, "the loss is -inf at step 3"),
        (math.inf, 0, "the loss is inf at step 3"),
    ],
)
def test_a_step_from_a_loss_that_is_not_finite_is_not_taken(model, factor, shift, said):
    with pytest.raises(FloatingPointError, match=said):
        step(model, factor * model.weight.sum() + shift)
    assert model.weight.item() == 1
    assert model.weight.grad is None


def test_a_step_along_a_gradient_that_is_not_finite_is_not_taken(model):
    loss = (model.weight - 1).sqrt().sum()  # 0, with an infinite slope
    with pytest.raises(FloatingPointError, match=r"is inf at step 3; the loss is 0$"):
        step(model, loss)
    assert model.weight.item() == 1
