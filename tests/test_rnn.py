"""Properties of the recurrent layer, and its parity with PyTorch's."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from companion.rnn import RNN, initial_weights
from companion.support import checks

F64 = torch.float64
SHAPES = [(1, 1, 1, 1), (7, 3, 4, 5), (4, 1, 6, 2), (5, 2, 1, 3)]  # T, N, D, H


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.fixture
def layer():
    """Return a layer in the range where tanh bends, with a bias that is not zero."""
    layer = RNN(4, 5, init_std=0.7, generator=seeded(), dtype=F64)
    nn.init.normal_(layer.b_h, generator=seeded(1))
    return layer


@pytest.fixture
def inputs():
    return torch.randn(6, 3, 4, generator=seeded(2), dtype=F64)


@pytest.fixture
def state():
    return (torch.randn(3, 5, generator=seeded(3), dtype=F64),)


# The recurrence


def test_two_steps_by_hand():
    # A delay line: unit 0 reads the sign of the token, unit 1 what unit 0 last held.
    layer = RNN(2, 2, dtype=F64)
    with torch.no_grad():
        layer.W_xh.copy_(torch.tensor([[1, 0], [-1, 0]]))
        layer.W_hh.copy_(torch.tensor([[0, 1], [0, 0]]))
    outputs, (H,) = layer(torch.eye(2, dtype=F64).unsqueeze(1))  # tokens 0, 1
    first = [math.tanh(1), 0.0]
    second = [math.tanh(-1), math.tanh(math.tanh(1))]
    close(outputs, torch.tensor([[first], [second]], dtype=F64))
    close(H, torch.tensor([second], dtype=F64))


@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
@pytest.mark.parametrize("with_state", [True, False])
def test_outputs_state_and_all_gradients_equal_torchs(T, N, D, H, with_state):
    ours = RNN(D, H, init_std=0.7, generator=seeded(), dtype=F64)
    nn.init.normal_(ours.b_h, generator=seeded(1))
    theirs = nn.RNN(D, H, dtype=F64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.W_xh.T)
        theirs.weight_hh_l0.copy_(ours.W_hh.T)
        theirs.bias_ih_l0.copy_(ours.b_h)
        theirs.bias_hh_l0.zero_()

    inputs = torch.randn(T, N, D, generator=seeded(2), dtype=F64)
    start = torch.randn(N, H, generator=seeded(3), dtype=F64) * with_state
    X, H_0 = inputs.clone().requires_grad_(), start.clone().requires_grad_()
    X_t, H_0t = inputs.clone().requires_grad_(), start.clone().requires_grad_()
    outputs, (last,) = ours(X, (H_0,) if with_state else None)
    outputs_t, last_t = theirs(X_t, H_0t.unsqueeze(0) if with_state else None)
    assert outputs.shape == (T, N, H)
    assert last.shape == (N, H)
    close(outputs, outputs_t)
    close(last, last_t.squeeze(0))
    assert last.equal(outputs[-1])

    weights = torch.randn(T, N, H, generator=seeded(4), dtype=F64)
    ((outputs * weights).sum() + last.square().sum()).backward()
    ((outputs_t * weights).sum() + last_t.square().sum()).backward()
    close(ours.W_xh.grad, theirs.weight_ih_l0.grad.T)
    close(ours.W_hh.grad, theirs.weight_hh_l0.grad.T)
    close(ours.b_h.grad, theirs.bias_ih_l0.grad)
    close(X.grad, X_t.grad)
    if with_state:
        close(H_0.grad, H_0t.grad)


def test_the_gradients_equal_differences(layer, inputs, state):
    names = [name for name, _ in layer.named_parameters()]

    def run(X, H, *parameters):
        parameters = dict(zip(names, parameters, strict=True))
        outputs, (H,) = functional_call(layer, parameters, (X, (H,)))
        return outputs, H

    tensors = [inputs[:3], *state, *layer.parameters()]
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_reading_in_two_calls_is_reading_at_once(layer, inputs, state, cut):
    outputs, (last,) = layer(inputs, state)
    early, carried = layer(inputs[:cut], state)
    late, (last_of_two,) = layer(inputs[cut:], carried)
    close(torch.cat([early, late]), outputs)
    close(last_of_two, last)


def test_reading_step_by_step_is_reading_at_once(layer, inputs):
    outputs, (last,) = layer(inputs)
    state, steps = None, []
    for X in inputs.split(1):
        output, state = layer(X, state)
        steps.append(output)
    close(torch.cat(steps), outputs)
    close(state[0], last)


def test_without_a_state_the_layer_begins_with_zeros(layer, inputs):
    for actual, expected in zip(
        layer(inputs), layer(inputs, layer.begin_state(3)), strict=True
    ):
        assert torch.equal(actual[0], expected[0])


def test_an_output_depends_on_all_earlier_inputs_and_on_no_later_one(layer, inputs):
    for t in range(len(inputs)):
        X = inputs.clone().requires_grad_()
        layer(X)[0][t].sum().backward()
        reached = X.grad.ne(0).all(dim=(1, 2))
        assert reached.tolist() == [step <= t for step in range(len(inputs))]


def test_sequences_of_a_minibatch_do_not_touch_each_other(layer, inputs, state):
    outputs, (last,) = layer(inputs, state)
    for i in range(3):
        alone, (last_alone,) = layer(inputs[:, i : i + 1], (state[0][i : i + 1],))
        close(alone, outputs[:, i : i + 1])
        close(last_alone, last[i : i + 1])


def test_hidden_units_have_no_order(layer, inputs, state):
    outputs, (last,) = layer(inputs, state)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        layer.W_xh.copy_(layer.W_xh[:, order])
        layer.W_hh.copy_(layer.W_hh[order][:, order])
        layer.b_h.copy_(layer.b_h[order])
    shuffled, (last_shuffled,) = layer(inputs, (state[0][:, order],))
    close(shuffled, outputs[..., order])
    close(last_shuffled, last[:, order])


# Parameters and the first state


def test_the_parameters_have_the_shapes_that_are_documented():
    shapes = {name: tuple(p.shape) for name, p in RNN(4, 5).named_parameters()}
    assert shapes == {"W_xh": (4, 5), "W_hh": (5, 5), "b_h": (5,)}


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_everything_is_in_the_dtype_asked_for(dtype):
    layer = RNN(4, 5, dtype=dtype)
    outputs, (H,) = layer(torch.zeros(2, 3, 4, dtype=dtype))
    for tensor in (*layer.parameters(), *layer.begin_state(3), outputs, H):
        assert tensor.dtype == dtype


def test_everything_is_on_the_device_asked_for():
    layer = RNN(4, 5, device="meta", generator=seeded())
    outputs, (H,) = layer(torch.zeros(2, 3, 4, device="meta"))
    for tensor in (*layer.parameters(), *layer.begin_state(3), outputs, H):
        assert tensor.device == torch.device("meta")
    assert layer.begin_state(3, "cpu")[0].device == torch.device("cpu")


def test_a_generator_fixes_the_weights_and_spares_the_global_one():
    before = torch.get_rng_state()
    first, same, other = (RNN(4, 5, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    for name in ("W_xh", "W_hh"):
        assert getattr(first, name).equal(getattr(same, name))
        assert not getattr(first, name).equal(getattr(other, name))


def test_without_a_generator_the_global_seed_fixes_the_weights():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first = RNN(4, 5)
        torch.manual_seed(7)
        same = RNN(4, 5)
    assert first.W_xh.equal(same.W_xh)
    assert first.W_hh.equal(same.W_hh)


def test_weights_without_deviation_are_zero():
    assert not initial_weights(3, 4, init_std=0).any()


@pytest.mark.parametrize("init_std", [0.01, 1.0])
def test_weights_are_drawn_with_the_scale_and_biases_are_zero(init_std):
    layer = RNN(200, 300, init_std=init_std, generator=seeded())
    for weights in (layer.W_xh, layer.W_hh):
        assert weights.std().item() == pytest.approx(init_std, rel=0.02)
        assert weights.mean().item() == pytest.approx(0, abs=0.02 * init_std)
    assert layer.b_h.eq(0).all()


def test_the_default_scale_is_one_hundredth():
    default = RNN(4, 5, generator=seeded())
    assert default.W_hh.equal(RNN(4, 5, init_std=0.01, generator=seeded()).W_hh)


def test_the_first_state_is_a_tuple_of_zeros(layer):
    state = layer.begin_state(3)
    assert isinstance(state, tuple)
    (H,) = state
    assert H.equal(torch.zeros(3, 5, dtype=F64))
    assert not H.requires_grad


# What is refused


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match=f"input_size is {size}; accepted"):
        RNN(size, 5)
    with pytest.raises(ValueError, match=f"hidden_size is {size}; accepted"):
        RNN(4, size)


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
def test_a_state_of_another_shape_is_refused(layer, shape):
    with pytest.raises(ValueError, match=r"state has shape .*; accepted") as refused:
        layer(torch.zeros(6, 2, 4, dtype=F64), (torch.zeros(shape, dtype=F64),))
    assert f"{shape}; accepted: (2, 5)" in str(refused.value)


@pytest.mark.parametrize("parts", [0, 2])
def test_a_state_with_another_number_of_parts_is_refused(layer, parts):
    state = (torch.zeros(2, 5, dtype=F64),) * parts
    message = f"state is a tuple of {parts}; accepted: tuple of 1"
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(6, 2, 4, dtype=F64), state)


def test_a_state_that_is_no_tuple_is_refused(layer):
    # Of one sequence and two units: unpacked, it would pass for a row of the state.
    with pytest.raises(ValueError, match=r"state is a .*Tensor.*; accepted: tuple of"):
        layer(torch.zeros(6, 1, 4, dtype=F64), torch.zeros(1, 1, 5, dtype=F64))


@pytest.mark.parametrize("size", [3.0, True, "3", None, 10**12, math.nan])
def test_sizes_that_are_no_integers_are_refused(size):
    with pytest.raises(
        ValueError, match=r"hidden_size is .*; accepted: 1 or more, an i"
    ):
        RNN(2, size)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"init_std": -0.1}, "init_std is -0.1; accepted: a number from 0 up"),
        ({"init_std": math.nan}, "init_std is nan; accepted"),
        ({"init_std": "1"}, "init_std is '1'; accepted"),
        ({"generator": 0}, "generator is 0; accepted: a Generator"),
        ({"dtype": torch.int64}, "dtype is torch.int64; accepted: a floating"),
        ({"dtype": "float32"}, "dtype is 'float32'; accepted"),
        ({"device": "gpu"}, "device is 'gpu'; accepted: a device that this machine"),
    ],
)
def test_settings_of_the_weights_that_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        RNN(2, 3, **arguments)


@pytest.mark.parametrize("batch_size", [2.0, True, None])
def test_a_number_of_sequences_that_is_no_integer_is_refused(layer, batch_size):
    with pytest.raises(ValueError, match=r"batch_size is .*; accepted: 1 or more, an"):
        layer.begin_state(batch_size)


def test_inputs_and_states_unlike_the_parameters_are_refused(layer, inputs, state):
    said = "has dtype torch.float32, on cpu; accepted: torch.float64, on cpu"
    with pytest.raises(ValueError, match=f"inputs {said}"):
        layer(inputs.float(), state)
    with pytest.raises(ValueError, match=f"state {said}"):
        layer(inputs, (state[0].float(),))
    with pytest.raises(
        ValueError, match=r"inputs has dtype torch.float64, on meta; acc"
    ):
        layer(inputs.to("meta"))
    with pytest.raises(ValueError, match=r"inputs is \[.*accepted: a tensor \(T, N, 4"):
        layer(inputs.tolist())
    with pytest.raises(ValueError, match=r"part of state is \[.*accepted: a tensor \("):
        layer(inputs, (state[0].tolist(),))


# What the gated layers share with this one


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_each_part_of_a_state_is_checked(wrong):
    inputs = torch.zeros(7, 3, 4)
    parts = [torch.zeros(3, 5) for _ in range(3)]
    first = tuple(part.clone() for part in parts)
    checks.state(tuple(parts), first, inputs)
    parts[wrong] = torch.zeros(1, 5)
    with pytest.raises(ValueError, match=r"\(1, 5\); accepted: \(3, 5\) for inputs"):
        checks.state(tuple(parts), first, inputs)


def test_a_size_below_one_is_refused_by_its_name():
    checks.sizes()
    checks.sizes(width=1, height=2)
    with pytest.raises(ValueError, match="height is 0; accepted: 1 or more"):
        checks.sizes(width=1, height=0)


def test_initial_weights_are_a_parameter_in_the_dtype_asked_for():
    weights = initial_weights(3, 4, init_std=0.5, generator=seeded(), dtype=F64)
    assert isinstance(weights, nn.Parameter)
    assert weights.is_leaf
    assert weights.dtype == F64
    draw = torch.randn(3, 4, generator=seeded(), dtype=F64)
    assert weights.equal(0.5 * draw)


def test_a_seed_means_the_same_on_each_device():
    # They are drawn where the generator lives, whatever the device they go to.
    here, there = seeded(), seeded()
    initial_weights(3, 4, init_std=1.0, generator=here)
    assert initial_weights(3, 4, init_std=1.0, generator=there, device="meta").is_meta
    assert there.get_state().equal(here.get_state())
    with torch.device("meta"):  # nor what the default device is
        made = initial_weights(3, 4, init_std=1.0, generator=there, device="cpu")
    assert made.equal(initial_weights(3, 4, init_std=1.0, generator=here))


def test_under_autocast_half_precision_fits_parameters_of_single_precision(
    inputs, state
):
    layer = RNN(4, 5, init_std=0.7, generator=seeded())
    exact, _ = layer(inputs.float(), (state[0].float(),))
    narrow = inputs.bfloat16(), (state[0].bfloat16(),)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = layer(*narrow)
    assert (found - exact).norm() / exact.norm() < 0.02
    with pytest.raises(ValueError, match=r"inputs has dtype torch\.bfloat16"):
        layer(*narrow)
