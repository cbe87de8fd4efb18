"""Properties of the gated layers, and their parity with PyTorch's."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from companion.batching import sequential_batches
from companion.generation import generate
from companion.language_model import LanguageModel, detach_state
from companion.lstm import GRU, LSTM
from companion.measuring import evaluate, perplexity
from companion.text import Vocab
from companion.training import fit

F64 = torch.float64
SHAPES = [(1, 1, 1, 1), (7, 3, 4, 5), (4, 1, 6, 2), (5, 2, 1, 3)]  # T, N, D, H
PARTS = {LSTM: 2, GRU: 1}  # tensors of state
TORCHS = {LSTM: nn.LSTM, GRU: nn.GRU}
BOTH = pytest.mark.parametrize("kind", [LSTM, GRU], ids=["LSTM", "GRU"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def bent(kind, D, H):
    """Return a layer in the range where the gates bend, with biases that matter."""
    layer = kind(D, H, init_std=0.7, generator=seeded(), dtype=F64)
    for seed, bias in enumerate(p for p in layer.parameters() if p.dim() == 1):
        nn.init.normal_(bias, generator=seeded(10 + seed))
    return layer


def random_state(kind, N, H):
    return tuple(
        torch.randn(N, H, generator=seeded(3 + part), dtype=F64)
        for part in range(PARTS[kind])
    )


def transplanted(ours):
    """Return PyTorch's layer with our weights."""
    theirs = TORCHS[type(ours)](ours.input_size, ours.hidden_size, dtype=F64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.W_x.T)
        theirs.weight_hh_l0.copy_(ours.W_h.T)
        theirs.bias_ih_l0.copy_(ours.b)
        theirs.bias_hh_l0.zero_()
        if isinstance(ours, GRU):
            theirs.bias_hh_l0[2 * ours.hidden_size :] = ours.b_hc
    return theirs


@pytest.fixture(params=[LSTM, GRU], ids=["LSTM", "GRU"])
def layer(request):
    return bent(request.param, 4, 5)


@pytest.fixture
def inputs():
    return torch.randn(6, 3, 4, generator=seeded(2), dtype=F64)


@pytest.fixture
def state(layer):
    return random_state(type(layer), 3, 5)


# The recurrences


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_two_steps_of_the_lstm_by_hand():
    # One unit; every weight differs, so that none can stand in for another.
    layer = LSTM(1, 1, dtype=F64)
    x, h, b = (0.5, -1.0, 2.0, 0.3), (1.5, 0.7, -0.4, 0.9), (0.1, 0.2, -0.3, 0.4)
    with torch.no_grad():
        for parameter, values in ((layer.W_x, x), (layer.W_h, h), (layer.b, b)):
            parameter.copy_(torch.tensor(values, dtype=F64).reshape(parameter.shape))
    outputs, (H, C) = layer(torch.tensor([[[0.8]], [[-0.6]]], dtype=F64))
    state, cell, expected = 0.0, 0.0, []
    for token in (0.8, -0.6):
        i, f, g, o = (
            token * x[k] + state * h[k] + b[k]
            for k in range(4)  # the order i, f, c, o
        )
        cell = sigmoid(f) * cell + sigmoid(i) * math.tanh(g)
        state = sigmoid(o) * math.tanh(cell)
        expected.append(state)
    close(outputs.ravel(), torch.tensor(expected, dtype=F64))
    close(H, torch.tensor([[state]], dtype=F64))
    close(C, torch.tensor([[cell]], dtype=F64))


def test_two_steps_of_the_gru_by_hand():
    layer = GRU(1, 1, dtype=F64)
    x, h, b, b_hc = (0.5, -1.0, 2.0), (1.5, 0.7, -0.4), (0.1, 0.2, -0.3), 0.6
    with torch.no_grad():
        for parameter, values in ((layer.W_x, x), (layer.W_h, h), (layer.b, b)):
            parameter.copy_(torch.tensor(values, dtype=F64).reshape(parameter.shape))
        layer.b_hc.fill_(b_hc)
    outputs, (H,) = layer(torch.tensor([[[0.8]], [[-0.6]]], dtype=F64))
    state, expected = 0.0, []
    for token in (0.8, -0.6):
        r = sigmoid(token * x[0] + state * h[0] + b[0])
        z = sigmoid(token * x[1] + state * h[1] + b[1])
        g = math.tanh(token * x[2] + b[2] + r * (state * h[2] + b_hc))
        state = (1 - z) * g + z * state
        expected.append(state)
    close(outputs.ravel(), torch.tensor(expected, dtype=F64))
    close(H, torch.tensor([[state]], dtype=F64))


@BOTH
@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
@pytest.mark.parametrize("with_state", [True, False])
def test_outputs_states_and_all_gradients_equal_torchs(kind, T, N, D, H, with_state):
    ours = bent(kind, D, H)
    theirs = transplanted(ours)
    inputs = torch.randn(T, N, D, generator=seeded(2), dtype=F64)
    start = random_state(kind, N, H)
    X, X_t = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    first = tuple(part.clone().requires_grad_() for part in start)
    first_t = tuple(part[None].clone().requires_grad_() for part in start)
    outputs, last = ours(X, first if with_state else None)
    begin = (first_t if kind is LSTM else first_t[0]) if with_state else None
    outputs_t, last_t = theirs(X_t, begin)
    last_t = last_t if kind is LSTM else (last_t,)
    assert outputs.shape == (T, N, H)
    assert [part.shape for part in last] == [(N, H)] * PARTS[kind]
    close(outputs, outputs_t)
    close(last, tuple(part[0] for part in last_t))
    assert last[0].equal(outputs[-1])

    weights = torch.randn(T, N, H, generator=seeded(6), dtype=F64)
    for result, parts in ((outputs, last), (outputs_t, last_t)):
        ((result * weights).sum() + sum(p.square().sum() for p in parts)).backward()
    close(ours.W_x.grad, theirs.weight_ih_l0.grad.T)
    close(ours.W_h.grad, theirs.weight_hh_l0.grad.T)
    close(ours.b.grad, theirs.bias_ih_l0.grad)
    if kind is GRU:
        close(ours.b_hc.grad, theirs.bias_hh_l0.grad[2 * H :])
    close(X.grad, X_t.grad)
    if with_state:
        close(tuple(p.grad for p in first), tuple(p.grad[0] for p in first_t))


def test_the_gradients_equal_differences(layer, inputs, state):
    names = [name for name, _ in layer.named_parameters()]

    def run(X, *tensors):
        state, parameters = tensors[: -len(names)], tensors[-len(names) :]
        parameters = dict(zip(names, parameters, strict=True))
        outputs, state = functional_call(layer, parameters, (X, state))
        return outputs, *state

    tensors = [inputs[:3], *state, *layer.parameters()]
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_reading_in_two_calls_is_reading_at_once(layer, inputs, state, cut):
    outputs, last = layer(inputs, state)
    early, carried = layer(inputs[:cut], state)
    late, last_of_two = layer(inputs[cut:], carried)
    close(torch.cat([early, late]), outputs)
    close(last_of_two, last)


def test_reading_step_by_step_is_reading_at_once(layer, inputs):
    outputs, last = layer(inputs)
    state, steps = None, []
    for X in inputs.split(1):
        output, state = layer(X, state)
        steps.append(output)
    close(torch.cat(steps), outputs)
    close(state, last)


def test_without_a_state_the_layer_begins_with_zeros(layer, inputs):
    outputs, last = layer(inputs)
    outputs_z, last_z = layer(inputs, layer.begin_state(3))
    assert outputs.equal(outputs_z)
    assert all(a.equal(b) for a, b in zip(last, last_z, strict=True))


def test_an_output_depends_on_all_earlier_inputs_and_on_no_later_one(layer, inputs):
    for t in range(len(inputs)):
        X = inputs.clone().requires_grad_()
        layer(X)[0][t].sum().backward()
        reached = X.grad.ne(0).all(dim=(1, 2))
        assert reached.tolist() == [step <= t for step in range(len(inputs))]


def test_sequences_of_a_minibatch_do_not_touch_each_other(layer, inputs, state):
    outputs, last = layer(inputs, state)
    for i in range(3):
        own = tuple(part[i : i + 1] for part in state)
        alone, last_alone = layer(inputs[:, i : i + 1], own)
        close(alone, outputs[:, i : i + 1])
        close(last_alone, tuple(part[i : i + 1] for part in last))


def test_hidden_units_have_no_order(layer, inputs, state):
    outputs, last = layer(inputs, state)
    order = torch.tensor([3, 0, 4, 1, 2])
    gates = layer.W_h.shape[1] // 5
    columns = torch.cat([order + 5 * gate for gate in range(gates)])
    with torch.no_grad():
        layer.W_x.copy_(layer.W_x[:, columns])
        layer.W_h.copy_(layer.W_h[order][:, columns])
        layer.b.copy_(layer.b[columns])
        if isinstance(layer, GRU):
            layer.b_hc.copy_(layer.b_hc[order])
    shuffled, last_shuffled = layer(inputs, tuple(part[:, order] for part in state))
    close(shuffled, outputs[..., order])
    close(last_shuffled, tuple(part[:, order] for part in last))


# What the gates are for


@pytest.mark.parametrize("forgetting", [False, True])
def test_closed_gates_keep_the_cell_and_a_closed_forget_gate_empties_it(forgetting):
    layer = LSTM(4, 5, generator=seeded(), dtype=F64)
    state = random_state(LSTM, 3, 5)
    with torch.no_grad():
        layer.b[:5] = -60  # nothing comes in
        layer.b[5:10] = -60 if forgetting else 60
        _, (_, C) = layer(torch.randn(50, 3, 4, generator=seeded(), dtype=F64), state)
    close(C, torch.zeros_like(C) if forgetting else state[1])


def test_a_closed_output_gate_hides_the_cell():
    layer = LSTM(4, 5, generator=seeded(), dtype=F64)
    with torch.no_grad():
        layer.b[15:] = -60
    X = torch.randn(6, 3, 4, generator=seeded(1), dtype=F64)
    outputs, (_, C) = layer(X, random_state(LSTM, 3, 5))
    close(outputs, torch.zeros_like(outputs))
    assert C.abs().min() > 1e-4


def test_the_cell_along_its_own_path_shrinks_by_the_forget_gates():
    # Without recurrent weights nothing else leads from one cell to the next.
    layer = bent(LSTM, 4, 5)
    with torch.no_grad():
        layer.W_h.zero_()
    X = torch.randn(6, 3, 4, generator=seeded(2), dtype=F64)
    H, C = (part.requires_grad_() for part in random_state(LSTM, 3, 5))
    _, (_, last) = layer(X, (H, C))
    (gradient,) = torch.autograd.grad(last.sum(), C)
    forget = torch.sigmoid(X @ layer.W_x + layer.b).chunk(4, dim=2)[1]
    close(gradient, forget.prod(dim=0))


@pytest.mark.parametrize("forgetting", [False, True])
def test_the_update_gate_keeps_the_state_of_a_gru(forgetting):
    layer = GRU(4, 5, generator=seeded(), dtype=F64)
    (H,) = random_state(GRU, 3, 5)
    X = torch.randn(50, 3, 4, generator=seeded(), dtype=F64)
    with torch.no_grad():
        layer.b[5:10] = -60 if forgetting else 60
        first, (last,) = layer(X, (H,))
        fresh, _ = layer(X, (10 * H,))
    if forgetting:  # the old state reaches the new one through the candidate only
        assert (first - fresh).abs().max() < 1
        assert last.abs().max() < 1
    else:
        close(last, H)


# Parameters and the first state


def shapes(layer):
    return {name: tuple(p.shape) for name, p in layer.named_parameters()}


def test_the_parameters_have_the_shapes_that_are_documented():
    assert shapes(LSTM(4, 5)) == {"W_x": (4, 20), "W_h": (5, 20), "b": (20,)}
    expected = {"W_x": (4, 15), "W_h": (5, 15), "b": (15,), "b_hc": (5,)}
    assert shapes(GRU(4, 5)) == expected


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_everything_is_in_the_dtype_asked_for(kind, dtype):
    layer = kind(4, 5, dtype=dtype)
    outputs, state = layer(torch.zeros(2, 3, 4, dtype=dtype))
    tensors = (*layer.parameters(), *layer.begin_state(3), outputs, *state)
    assert {tensor.dtype for tensor in tensors} == {dtype}


@BOTH
def test_everything_is_on_the_device_asked_for(kind):
    layer = kind(4, 5, device="meta", generator=seeded())
    outputs, state = layer(torch.zeros(2, 3, 4, device="meta"))
    for tensor in (*layer.parameters(), *layer.begin_state(3), outputs, *state):
        assert tensor.device == torch.device("meta")
    for part in layer.begin_state(3, "cpu"):
        assert part.device == torch.device("cpu")


@BOTH
def test_a_generator_fixes_the_weights_and_spares_the_global_one(kind):
    before = torch.get_rng_state()
    first, same, other = (kind(4, 5, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    for name in ("W_x", "W_h"):
        assert getattr(first, name).equal(getattr(same, name))
        assert not getattr(first, name).equal(getattr(other, name))


@BOTH
def test_without_a_generator_the_global_seed_fixes_the_weights(kind):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first = kind(4, 5)
        torch.manual_seed(7)
        same = kind(4, 5)
    assert first.W_x.equal(same.W_x)
    assert first.W_h.equal(same.W_h)


@BOTH
@pytest.mark.parametrize("init_std", [0.01, 1.0])
def test_weights_are_drawn_with_the_scale_and_biases_are_zero(kind, init_std):
    layer = kind(150, 200, init_std=init_std, generator=seeded())
    for weights in (layer.W_x, layer.W_h):
        assert weights.std().item() == pytest.approx(init_std, rel=0.02)
        assert weights.mean().item() == pytest.approx(0, abs=0.02 * init_std)
    assert all(p.eq(0).all() for p in layer.parameters() if p.dim() == 1)


@BOTH
def test_the_default_scale_is_one_hundredth(kind):
    default = kind(4, 5, generator=seeded())
    assert default.W_h.equal(kind(4, 5, init_std=0.01, generator=seeded()).W_h)


@pytest.mark.parametrize("forget_bias", [1.0, -2.5])
def test_the_forget_bias_is_that_of_the_forget_gate_alone(forget_bias):
    layer = LSTM(4, 5, forget_bias=forget_bias, generator=seeded())
    assert layer.b.tolist() == [0.0] * 5 + [forget_bias] * 5 + [0.0] * 10
    assert layer.b.requires_grad
    plain = LSTM(4, 5, generator=seeded())
    assert plain.b.eq(0).all()
    assert layer.W_x.equal(plain.W_x)
    assert layer.W_h.equal(plain.W_h)


@pytest.mark.parametrize("forget_bias", [math.nan, math.inf, "1", True])
def test_a_forget_bias_that_is_no_finite_number_is_refused(forget_bias):
    with pytest.raises(ValueError, match=r"^forget_bias is .*; accepted: a finite num"):
        LSTM(4, 5, forget_bias=forget_bias)


def test_the_first_state_is_a_tuple_of_zeros(layer):
    state = layer.begin_state(3)
    assert isinstance(state, tuple)
    assert len(state) == PARTS[type(layer)]
    for part in state:
        assert part.equal(torch.zeros(3, 5, dtype=F64))
        assert not part.requires_grad
    # Each part has memory of its own.
    assert len({part.data_ptr() for part in state}) == len(state)


# Inside of a model


TEXT = "the time traveller " * 40
VOCAB = Vocab(TEXT)


@BOTH
def test_a_model_around_it_equals_one_around_torchs(kind):
    V = len(VOCAB)
    ours = LanguageModel(bent(kind, V, 6), V, init_std=0.5, generator=seeded())
    theirs = LanguageModel(transplanted(ours.layer), V)
    theirs.W_hq, theirs.b_q = ours.W_hq, ours.b_q
    X, Y = next(sequential_batches(VOCAB.encode(TEXT), 3, 11))
    state = state_t = None
    for ids in (X, Y):
        logits, state = ours(ids, detach_state(state))
        logits_t, state_t = theirs(ids, detach_state(state_t))
        close(logits, logits_t)
    assert all(part.shape == (3, 6) for part in state)
    assert evaluate(ours, X[0], chunk=4) == pytest.approx(evaluate(ours, X[0]))


@BOTH
def test_a_small_model_learns_a_repeating_text_by_heart(kind):
    V, generator = len(VOCAB), seeded()
    layer = kind(V, 24, init_std=0.2, generator=generator)
    model = LanguageModel(layer, V, generator=generator)
    history = fit(
        model,
        lambda: sequential_batches(VOCAB.encode(TEXT), 4, 19),
        torch.optim.Adam(model.parameters(), lr=0.02),
        num_epochs=40,
        carry_state=True,
    )
    assert perplexity(history[-1].train) < 1.1
    written = generate("the time", 60, model, VOCAB)
    assert written in TEXT


# What is refused


@BOTH
@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(kind, size):
    with pytest.raises(ValueError, match=f"input_size is {size}; accepted"):
        kind(size, 5)
    with pytest.raises(ValueError, match=f"hidden_size is {size}; accepted"):
        kind(4, size)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_first_state_for_no_sequence_is_refused(layer, batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; accepted"):
        layer.begin_state(batch_size)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 3), (0, 3, 4), (2, 3, 4, 4)])
def test_inputs_of_another_shape_are_refused(layer, shape):
    with pytest.raises(ValueError, match=r"inputs has shape .*; accepted") as refused:
        layer(torch.zeros(shape, dtype=F64))
    assert f"{shape}; accepted: (T, N, 4)" in str(refused.value)


@pytest.mark.parametrize("shape", [(1, 5), (2, 4), (3, 5), (1, 2, 5), (5,)])
def test_a_state_of_another_shape_is_refused_in_each_part(layer, shape):
    for wrong in range(PARTS[type(layer)]):
        state = list(layer.begin_state(2))
        state[wrong] = torch.zeros(shape, dtype=F64)
        with pytest.raises(ValueError, match=r"state has shape .*; accepted") as why:
            layer(torch.zeros(6, 2, 4, dtype=F64), tuple(state))
        assert f"{shape}; accepted: (2, 5)" in str(why.value)


@pytest.mark.parametrize("parts", [0, 1, 2, 3])
def test_a_state_with_another_number_of_parts_is_refused(layer, parts):
    expected = PARTS[type(layer)]
    if parts == expected:
        return
    state = (torch.zeros(3, 5, dtype=F64),) * parts
    message = f"state is a tuple of {parts}; accepted: tuple of {expected}"
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(6, 3, 4, dtype=F64), state)


def test_a_state_that_is_no_tuple_is_refused(layer):
    with pytest.raises(ValueError, match=r"state is a .*Tensor.*; accepted: tuple of"):
        layer(torch.zeros(6, 3, 4, dtype=F64), torch.zeros(3, 5, dtype=F64))
