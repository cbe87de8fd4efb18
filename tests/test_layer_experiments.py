"""Chapter 5's experiment in small, and a part of its record."""

import pytest
import torch
from torch import nn

from companion import datasets, records
from companion.experiments import layers as experiments
from companion.language_model import LanguageModel
from companion.rnn import RNN

F64 = torch.float64


@pytest.fixture
def inputs():
    return torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0), dtype=F64)


def layer():
    generator = torch.Generator().manual_seed(1)
    return experiments.redraw_(nn.RNN(3, 4, dtype=F64), generator)


def test_parameters_are_drawn_within_pytorchs_bounds():
    wide = nn.RNN(28, 256, dtype=F64)
    experiments.redraw_(wide, torch.Generator().manual_seed(0))
    for parameter in wide.parameters():
        assert 0.9 / 16 < parameter.abs().max() <= 1 / 16
        assert parameter.std().item() == pytest.approx((3 * 256) ** -0.5, rel=0.15)


def test_one_random_bias_computes_what_the_two_of_which_it_is_the_sum_do(inputs):
    single = experiments.with_biases(layer(), 1, random=True)
    assert isinstance(single, RNN)
    torch.testing.assert_close(single(inputs)[0], layer()(inputs)[0])
    assert single.b_h.abs().min() > 0


@pytest.mark.parametrize("number", [1, 2])
def test_biases_from_zero_leave_the_matrices_as_they_are(inputs, number):
    changed = experiments.with_biases(layer(), number, random=False)
    plain = layer()
    for bias in (plain.bias_ih_l0, plain.bias_hh_l0):
        bias.data.zero_()
    torch.testing.assert_close(changed(inputs)[0], plain(inputs)[0])
    assert len(list(changed.parameters())) == 2 + number


def test_a_fresh_backward_half_predicts_each_token_alone():
    model = LanguageModel(nn.RNN(3, 4, bidirectional=True, dtype=F64), 3, init_std=1.0)
    ids = torch.tensor([0, 1, 2, 1])
    total, state = 0.0, torch.zeros(1, 1, 4, dtype=F64)
    with torch.no_grad():
        for token, target in ((0, 1), (1, 2), (2, 1)):
            both = torch.cat((state, torch.zeros_like(state)))
            logits, state = model(torch.tensor([[token]]), both)
            state = state[:1]
            total -= logits.log_softmax(1)[0, target].item()
    expected = torch.tensor(total / 3).exp().item()
    found = experiments.without_a_future(model, ids, fresh=True)
    assert found == pytest.approx(expected, rel=1e-6)
    assert experiments.without_a_future(model, ids, fresh=False) != found


def test_the_record_has_every_epoch():
    for run in records.load("layers")["results"].values():
        assert len(run["train"]) == experiments.EPOCHS
        assert len(run["held_out"]) == experiments.EPOCHS // experiments.EVERY


@pytest.mark.parametrize("key", ["one, zero 3", "LSTM 1", "RNN, both ways 5"])
def test_a_run_of_the_record_begins_like_this_one(key):
    if datasets.origin()[0] != "real":
        pytest.skip("the records are of the real data, and this is the sample")
    function, options = experiments.JOBS["layers"][key]
    again = function(**options, epochs=2, alone=20)["train"]
    kept = records.load("layers")["results"][key]["train"]
    assert again == pytest.approx(kept[:2], abs=2e-6)
