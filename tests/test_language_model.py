"""Properties of the language model, around our layer and around PyTorch's."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion.language_model import LanguageModel
from companion.rnn import RNN

F64 = torch.float64
V, H = 7, 5
LAYERS = {
    "ours": lambda: RNN(V, H, scale=0.7, dtype=F64),
    "nn.RNN": lambda: nn.RNN(V, H, dtype=F64),
    "nn.GRU": lambda: nn.GRU(V, H, dtype=F64),
    "nn.LSTM": lambda: nn.LSTM(V, H, dtype=F64),
    "two layers": lambda: nn.LSTM(V, H, num_layers=2, dtype=F64),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.fixture(params=LAYERS)
def model(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(LAYERS[request.param](), V, scale=0.7)


@pytest.fixture
def ours():
    layer = RNN(V, H, scale=0.7, generator=seeded(), dtype=F64)
    return LanguageModel(layer, V, scale=0.7, generator=seeded(1))


@pytest.fixture
def ids():
    return torch.randint(V, (3, 6), generator=seeded(2))  # N = 3, T = 6


# What it computes


def test_row_t_n_plus_i_of_the_logits_is_step_t_of_sequence_i(model, ids):
    N, T = ids.shape
    logits, _ = model(ids)
    assert logits.shape == (T * N, V)
    assert logits.dtype == F64
    for i in range(N):
        alone, _ = model(ids[i : i + 1])
        for t in range(T):
            close(logits[t * N + i], alone[t])


def test_targets_line_up_when_flattened_from_the_transpose(ours, ids):
    X, Y = ids[:, :-1], ids[:, 1:]
    each = [F.cross_entropy(ours(x[None])[0], y) for x, y in zip(X, Y, strict=True)]
    together = F.cross_entropy(ours(X)[0], Y.T.reshape(-1))
    close(together, torch.stack(each).mean())


def test_a_carried_state_continues_the_reading(model, ids):
    logits, _ = model(ids)
    early, state = model(ids[:, :2])
    late, _ = model(ids[:, 2:], state)
    close(torch.cat([early, late]), logits)


def test_the_output_layer_is_a_product_with_the_hidden_states(ours, ids):
    nn.init.normal_(ours.b_q, generator=seeded(3))
    outputs, (last,) = ours.layer(F.one_hot(ids.T, V).double())
    logits, (H_T,) = ours(ids)
    close(logits.reshape(*outputs.shape[:2], V), outputs @ ours.W_hq + ours.b_q)
    close(H_T, last)


def test_the_state_goes_to_the_layer_and_back_unseen(ids):
    class Tally(nn.Module):
        hidden_size = H

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(V, H))

        def forward(self, inputs, state):
            return inputs @ self.weight, {"calls": state["calls"] + 1 if state else 1}

    model = LanguageModel(Tally(), V)
    _, state = model(ids)
    _, state = model(ids, state)
    assert state == {"calls": 2}


def test_begin_state_is_the_layers(ours, ids):
    state = ours.begin_state(3)
    assert state[0].equal(ours.layer.begin_state(3)[0])
    assert ours(ids, state)[0].equal(ours(ids)[0])
    assert ours.begin_state(3, "meta")[0].device == torch.device("meta")
    with pytest.raises(ValueError, match="batch_size is 0; accepted"):
        ours.begin_state(0)


def test_a_loss_reaches_every_parameter(model, ids):
    logits, _ = model(ids)
    F.cross_entropy(logits, ids.T.reshape(-1)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_every_integer_dtype_mean_the_same(ours, ids, dtype):
    assert ours(ids.to(dtype))[0].equal(ours(ids)[0])


# Before training


@pytest.mark.parametrize("kind", [RNN, nn.RNN, nn.GRU, nn.LSTM])
def test_an_untrained_model_knows_nothing(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(kind(28, 64), 28)
        ids = torch.randint(28, (8, 36))
    logits, _ = model(ids[:, :-1])
    loss = F.cross_entropy(logits, ids[:, 1:].T.reshape(-1))
    assert loss.item() == pytest.approx(math.log(28), rel=0.01)


@pytest.mark.parametrize(("V", "H"), [(28, 512), (1, 1), (7, 5)])
def test_the_number_of_parameters_follows_the_formula(V, H):
    model = LanguageModel(RNN(V, H), V)
    number = sum(parameter.numel() for parameter in model.parameters())
    assert number == V * H + H * H + H + H * V + V


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_output_layer_is_like_the_recurrent_layer(dtype, device):
    layer = RNN(V, H, dtype=dtype, device=device)
    model = LanguageModel(layer, V, generator=seeded())
    assert model.W_hq.shape == (H, V)
    assert model.b_q.shape == (V,)
    for parameter in (model.W_hq, model.b_q):
        assert parameter.dtype == dtype
        assert parameter.device == torch.device(device)
        assert parameter.requires_grad


def test_a_generator_fixes_the_output_layer_and_spares_the_global_one():
    layer = RNN(V, H)
    before = torch.get_rng_state()
    first, same, other = (
        LanguageModel(layer, V, generator=seeded(seed)).W_hq for seed in (0, 0, 1)
    )
    assert torch.get_rng_state().equal(before)
    assert first.equal(same)
    assert not first.equal(other)


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_output_weights_are_drawn_with_the_scale_and_the_bias_is_zero(scale):
    model = LanguageModel(RNN(1, 300), 200, scale=scale, generator=seeded())
    assert model.W_hq.std().item() == pytest.approx(scale, rel=0.02)
    assert model.b_q.eq(0).all()


# What is refused


@pytest.mark.parametrize("vocab_size", [0, -1])
def test_a_vocabulary_of_nothing_is_refused(vocab_size):
    with pytest.raises(ValueError, match=f"vocab_size is {vocab_size}; accepted"):
        LanguageModel(RNN(1, H), vocab_size)


@pytest.mark.parametrize("shape", [(), (6,), (1, 6, V)])
def test_ids_that_are_no_minibatch_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"ids has shape .*; accepted: \(N, T\)"):
        model(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("wrong", [-1, V])
def test_an_id_outside_the_vocabulary_is_refused(model, ids, wrong):
    ids[1, 2] = wrong
    with pytest.raises(
        ValueError, match=rf"ids run from .*{wrong}.*; accepted: 0 \.\."
    ):
        model(ids)


def test_ids_that_are_no_integers_are_refused(model, ids):
    with pytest.raises(ValueError, match=r"ids has dtype torch\.float32; accepted"):
        model(ids.float())


def test_a_state_for_another_number_of_sequences_is_refused(ours, ids):
    with pytest.raises(ValueError, match=r"state has shape \(1, 5\); accepted"):
        ours(ids, ours.begin_state(1))
