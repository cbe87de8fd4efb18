"""Properties of the language model, around our layer and around PyTorch's."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion.laboratory.fast import FastLSTM, FastRNN
from companion.language_model import LanguageModel, detach_state, evaluating
from companion.lstm import LSTM
from companion.rnn import RNN

F64 = torch.float64
V, H = 7, 5
LAYERS = {
    "ours": lambda: RNN(V, H, init_std=0.7, dtype=F64),
    "reads ids": lambda: FastLSTM(V, H, init_std=0.7, dtype=F64),
    "nn.RNN": lambda: nn.RNN(V, H, dtype=F64),
    "nn.GRU": lambda: nn.GRU(V, H, dtype=F64),
    "nn.LSTM": lambda: nn.LSTM(V, H, dtype=F64),
    "two layers": lambda: nn.LSTM(V, H, num_layers=2, dtype=F64),
    "two directions": lambda: nn.GRU(V, H, num_layers=2, bidirectional=True, dtype=F64),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.fixture(params=LAYERS)
def model(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(LAYERS[request.param](), V, init_std=0.7)


@pytest.fixture
def ours():
    layer = RNN(V, H, init_std=0.7, generator=seeded(), dtype=F64)
    return LanguageModel(layer, V, init_std=0.7, generator=seeded(1))


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


# With two directions it cannot: the way back begins at the end of each call.
@pytest.mark.parametrize(
    "model", sorted(LAYERS.keys() - {"two directions"}), indirect=True
)
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
        hidden_size = H  # all that the model asks of a layer, with its parameters

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(V, H))

        def forward(self, inputs, state):
            return inputs @ self.weight, {"calls": state["calls"] + 1 if state else 1}

    model = LanguageModel(Tally(), V)
    _, state = model(ids)
    _, state = model(ids, state)
    assert state == {"calls": 2}


def tensors(state):
    """List the tensors of a state, a tensor or a tuple of them."""
    return [state] if isinstance(state, torch.Tensor) else list(state)


def test_the_first_state_is_zeros_in_the_structure_of_the_later_ones(model, ids):
    first = model.begin_state(len(ids))
    logits, later = model(ids, first)
    assert type(first) is type(later)
    for zeros, tensor in zip(tensors(first), tensors(later), strict=True):
        assert zeros.equal(torch.zeros_like(tensor))
    assert logits.equal(model(ids)[0])


def test_the_tensors_of_the_first_state_are_separate(model):
    first = tensors(model.begin_state(2))
    assert len({tensor.data_ptr() for tensor in first}) == len(first)


def test_the_first_state_is_on_the_device_asked_for(model):
    for tensor in tensors(model.begin_state(3, "meta")):
        assert tensor.device == torch.device("meta")


def test_a_loss_reaches_every_parameter(model, ids):
    logits, _ = model(ids)
    F.cross_entropy(logits, ids.T.reshape(-1)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_every_integer_dtype_mean_the_same(ours, ids, dtype):
    assert ours(ids.to(dtype))[0].equal(ours(ids)[0])


# Detaching


def test_a_detached_state_has_its_values_and_no_history(model, ids):
    _, state = model(ids)
    detached = detach_state(state)
    assert type(detached) is type(state)
    for tensor, cut in zip(tensors(state), tensors(detached), strict=True):
        assert tensor.requires_grad
        assert not cut.requires_grad
        assert cut.equal(tensor)


def test_detaching_changes_no_score_and_cuts_the_gradient(ours, ids):
    _, state = ours(ids[:, :3])
    early = state[0]
    early.retain_grad()
    through, _ = ours(ids[:, 3:], state)
    cut, _ = ours(ids[:, 3:], detach_state(state))
    assert cut.equal(through)
    cut.sum().backward()
    assert early.grad is None
    through.sum().backward()
    assert early.grad.abs().sum() > 0


def test_a_state_of_any_depth_keeps_its_structure():
    tensor = torch.ones(2, requires_grad=True) * 2
    detached = detach_state((tensor, (None, (tensor,)), ()))
    first, (nothing, (second,)), empty = detached
    assert nothing is None
    assert empty == ()
    for cut in (first, second):
        assert cut.equal(tensor)
        assert not cut.requires_grad
    assert detach_state(None) is None


@pytest.mark.parametrize(("part", "kind"), [([], "list"), ({}, "dict"), (0.5, "float")])
@pytest.mark.parametrize("nested", [True, False])
def test_a_state_of_anything_else_is_refused(part, kind, nested):
    with pytest.raises(ValueError, match=f"state holds a {kind}; accepted"):
        detach_state((torch.zeros(1), (part,)) if nested else part)


# Dropout


class _Ones(nn.Module):
    """A layer that keeps its inputs and gives nothing but ones."""

    hidden_size = 100

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs, state):
        self.inputs = inputs
        return inputs.new_ones(*inputs.shape[:2], self.hidden_size), state


@pytest.fixture
def minibatch():
    return torch.randint(100, (20, 30), generator=seeded())


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5])
def test_dropout_blanks_a_share_of_the_layers_outputs_in_training(minibatch, p):
    model = LanguageModel(_Ones(), 100, dropout=p)
    nn.init.eye_(model.W_hq)  # so that the logits are what it is given
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits, _ = model.train()(minibatch)
    assert logits.eq(0).float().mean().item() == pytest.approx(p, abs=0.02)
    assert logits[logits != 0].eq(torch.tensor(1 / (1 - p))).all()
    assert model.layer.inputs.sum() == minibatch.numel()
    assert model.eval()(minibatch)[0].eq(1).all()


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5])
def test_input_dropout_blanks_a_share_of_the_tokens_in_training(minibatch, p):
    model = LanguageModel(_Ones(), 100, input_dropout=p)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()(minibatch)
    rows = model.layer.inputs.sum(dim=-1)
    assert rows.eq(0).float().mean().item() == pytest.approx(p, abs=0.06)
    assert rows[rows != 0].eq(torch.tensor(1 / (1 - p))).all()
    model.eval()(minibatch)
    assert model.layer.inputs.equal(F.one_hot(minibatch.T, 100).float())


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


def test_a_layer_of_two_directions_doubles_the_output_weights():
    model = LanguageModel(nn.LSTM(V, H, num_layers=2, bidirectional=True), V)
    assert model.W_hq.shape == (2 * H, V)


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


@pytest.mark.parametrize("init_std", [0.01, 1.0])
def test_output_weights_are_drawn_with_the_scale_and_the_bias_is_zero(init_std):
    model = LanguageModel(RNN(200, 300), 200, init_std=init_std, generator=seeded())
    assert model.W_hq.std().item() == pytest.approx(init_std, rel=0.02)
    assert model.b_q.eq(0).all()


# What is refused


@pytest.mark.parametrize("vocab_size", [0, -1])
def test_a_vocabulary_of_nothing_is_refused(vocab_size):
    with pytest.raises(ValueError, match=f"vocab_size is {vocab_size}; accepted"):
        LanguageModel(RNN(1, H), vocab_size)


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, math.nan])
def test_a_dropout_that_is_no_probability_below_one_is_refused(p):
    with pytest.raises(ValueError, match=f"dropout is {p}; accepted"):
        LanguageModel(RNN(V, H), V, dropout=p)
    with pytest.raises(ValueError, match=f"input_dropout is {p}; accepted"):
        LanguageModel(RNN(V, H), V, input_dropout=p)


def test_a_layer_that_wants_its_batch_first_is_refused():
    with pytest.raises(ValueError, match=r"layer\.batch_first is True; accepted"):
        LanguageModel(nn.GRU(V, H, batch_first=True), V)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_first_state_for_no_sequence_is_refused(model, batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; accepted"):
        model.begin_state(batch_size)


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
    with pytest.raises(ValueError, match=r"ids has .*torch\.float32; accepted"):
        model(ids.float())


def test_a_first_state_on_no_device_is_refused(model):
    with pytest.raises(ValueError, match=r"^device is 'nowhere'; accepted: a device "):
        model.begin_state(1, "nowhere")


def test_a_state_for_another_number_of_sequences_is_refused(ours, ids):
    with pytest.raises(ValueError, match=r"state has shape \(1, 5\); accepted"):
        ours(ids, ours.begin_state(1))


# More of the first state, of dropout, and of what is refused


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_beginning_with_the_first_state_is_beginning_with_none(
    ids, kind, num_layers, bidirectional
):
    layer = kind(V, H, num_layers, bidirectional=bidirectional, dtype=F64)
    model = LanguageModel(layer, V, init_std=0.7)
    first = model.begin_state(len(ids))
    rows = num_layers * (1 + bidirectional)
    assert {tensor.shape for tensor in tensors(first)} == {(rows, len(ids), H)}
    assert {tensor.dtype for tensor in tensors(first)} == {F64}
    logits, state = model(ids, first)
    expected, expected_state = model(ids)
    assert logits.equal(expected)
    torch.testing.assert_close(state, expected_state, rtol=0, atol=0)
    assert model.W_hq.shape == ((1 + bidirectional) * H, V)


@pytest.mark.parametrize("name", ["dropout", "input_dropout"])
def test_dropout_plays_no_part_outside_training(ids, name):
    layer = RNN(V, H, init_std=0.7, generator=seeded(), dtype=F64)
    plain, dropping = (
        LanguageModel(layer, V, init_std=0.7, generator=seeded(1), **options)
        for options in ({}, {name: 0.5})
    )
    expected, _ = plain(ids)
    assert dropping.eval()(ids)[0].equal(expected)
    assert not dropping.train()(ids)[0].equal(expected)


def test_input_dropout_blanks_whole_tokens_and_leaves_the_others_what_they_are(
    minibatch,
):
    model = LanguageModel(_Ones(), 100, input_dropout=0.75)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()(minibatch)
    kept = model.layer.inputs.sum(dim=-1, keepdim=True) > 0
    expected = 4 * F.one_hot(minibatch.T, 100) * kept
    assert model.layer.inputs.equal(expected.float())
    assert 0 < kept.sum() < kept.numel()


def test_a_layer_that_projects_its_state_is_refused():
    with pytest.raises(ValueError, match=r"layer\.proj_size is 3; accepted: 0"):
        LanguageModel(nn.LSTM(V, H, proj_size=3), V)


# Layers that read ids


class _Reader(nn.Module):
    """A layer that keeps its inputs."""

    hidden_size = H

    def __init__(self, reads_ids):
        super().__init__()
        self.reads_ids = reads_ids
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs, state):
        self.inputs = inputs
        return torch.zeros(*inputs.shape[:2], H), state


def test_a_layer_is_given_the_ids_where_it_says_that_it_reads_them(ids):
    model = LanguageModel(_Reader(True), V)
    model(ids)
    assert model.layer.inputs.equal(ids.T)
    model = LanguageModel(_Reader(False), V)
    model(ids)
    assert model.layer.inputs.equal(F.one_hot(ids.T, V).float())


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_that_reads_ids_is_given_one_hot_rows_where_tokens_are_blanked(
    ids, training
):
    model = LanguageModel(_Reader(True), V, input_dropout=0.5).train(training)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(ids)
    rows = F.one_hot(ids.T, V).float()
    if training:
        blank = model.layer.inputs.sum(dim=-1, keepdim=True).eq(0)
        assert 0 < blank.sum() < blank.numel()
        rows = 2 * rows * ~blank
    assert model.layer.inputs.equal(rows)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}, {"input_dropout": 0.4}])
@pytest.mark.parametrize(("fast", "slow"), [(FastRNN, RNN), (FastLSTM, LSTM)])
def test_reading_ids_and_reading_one_hot_rows_give_the_same(ids, fast, slow, options):
    found = []
    for kind in (fast, slow):
        layer = kind(V, H, init_std=0.7, generator=seeded(), dtype=F64)
        model = LanguageModel(layer, V, init_std=0.7, generator=seeded(1), **options)
        with torch.random.fork_rng():
            torch.manual_seed(0)  # the same tokens and entries are dropped
            early, state = model(ids[:, :3])
            late, state = model(ids[:, 3:], state)
        logits = torch.cat([early, late])
        gradients = torch.autograd.grad(logits.sin().sum(), list(model.parameters()))
        found.append([logits, *state, *gradients])
        found[-1].append(model.eval()(ids)[0])
    close(*found)


@pytest.mark.parametrize("kind", [RNN, FastRNN, LSTM, FastLSTM, nn.GRU])
@pytest.mark.parametrize("width", [V - 1, V + 2])
def test_a_layer_that_reads_another_number_of_features_is_refused(kind, width):
    message = f"layer.input_size is {width}; accepted: {V}$"
    with pytest.raises(ValueError, match=message):
        LanguageModel(kind(width, H), V)


def test_what_was_in_evaluation_mode_is_so_again(model):
    model.train()
    model.dropout.eval()
    before = {name: module.training for name, module in model.named_modules()}
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert {n: m.training for n, m in model.named_modules()} == before
    assert not model.dropout.training


@pytest.mark.parametrize("in_training", [True, False])
def test_the_modes_are_put_back_when_the_block_raises(model, in_training):
    model.train(in_training)
    model.dropout.train(not in_training)
    before = [module.training for module in model.modules()]
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert [module.training for module in model.modules()] == before


def test_a_layer_without_parameters_is_refused():
    class Echo(nn.Module):
        hidden_size = V

    with pytest.raises(
        ValueError, match=r"layer is Echo.*accepted: a layer with param"
    ):
        LanguageModel(Echo(), V)
    with pytest.raises(ValueError, match=r"layer is Linear.*accepted: .* hidden_size"):
        LanguageModel(nn.Linear(V, V), V)


@pytest.mark.parametrize("batch_size", [2.0, True, "2", None])
def test_a_number_of_sequences_that_is_no_integer_is_refused(model, batch_size):
    with pytest.raises(ValueError, match=r"batch_size is .*; accepted: 1 or more, an"):
        model.begin_state(batch_size)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_state_that_does_not_fit_torchs_layer_is_refused(ids, kind):
    model = LanguageModel(kind(V, H, num_layers=2), V)
    fit = model.begin_state(3)
    pair = isinstance(fit, tuple)
    first = fit[0] if pair else fit
    for wrong, said in (
        (first[:1], r"state has shape \(1, 3, 5\); accepted: \(2, 3, 5\)"),
        (first[:, :1], r"state has shape \(2, 1, 5\)"),
        (first.double(), "state has dtype torch.float64, on cpu; accepted: torch.fl"),
        ("zeros", "state is 'zeros'; accepted: a tensor"),
    ):
        with pytest.raises(ValueError, match=said):
            model(ids, (wrong, first) if pair else wrong)
    with pytest.raises(ValueError, match=r"state is .*; accepted: (a t|tuple of 2)"):
        model(ids, first if pair else (first, first))


def test_ids_may_be_a_list_or_an_array(ours, ids):
    for form in (ids.tolist(), ids.numpy(), ids.int().numpy()):
        assert ours(form)[0].equal(ours(ids)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", [RNN, nn.GRU])
def test_half_precision_is_the_same_but_for_its_rounding(ids, kind, dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exact = LanguageModel(kind(V, H, dtype=F64), V, init_std=0.7)
    expected = exact(ids)[0]
    found = exact.to(dtype)(ids)[0]
    assert found.dtype == dtype
    error = (found.double() - expected).norm() / expected.norm()
    assert error < (0.02 if dtype == torch.bfloat16 else 0.003)


@pytest.mark.parametrize("kind", [RNN, nn.GRU])
def test_autocast_is_the_same_but_for_its_rounding(ids, kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(kind(V, H), V, init_std=0.7)
    expected, _ = model(ids)
    with torch.autocast("cpu", torch.bfloat16):
        early, state = model(ids[:, :3])
        late, _ = model(ids[:, 3:], state)
    found = torch.cat([early, late]).float()
    assert (found - expected).norm() / expected.norm() < 0.02
