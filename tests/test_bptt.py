"""The gradients by hand against autograd and differences; the fast layers' parity."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion.batching import sequential_batches
from companion.bptt import rnn_gradients
from companion.generation import generate
from companion.laboratory.fast import FastLSTM, FastRNN
from companion.laboratory.recurrences import (
    LSTMFunction,
    RNNFunction,
    _tanh_of_half_,
)
from companion.language_model import LanguageModel, detach_state
from companion.lstm import LSTM
from companion.measuring import evaluate, perplexity
from companion.rnn import RNN
from companion.text import Vocab, one_hot
from companion.training import fit

F64 = torch.float64
SHAPES = [
    (1, 1, 1, 1),
    (7, 3, 4, 5),
    (4, 1, 6, 2),
    (5, 2, 1, 3),
    (1, 3, 4, 5),
    (6, 3, 4, 1),
]  # T, N, D, H
NAMES = ["H_0", "W_xh", "W_hh", "b_h", "W_hq", "b_q"]
SLOW = {FastRNN: RNN, FastLSTM: LSTM}
TORCHS = {FastRNN: nn.RNN, FastLSTM: nn.LSTM}
BOTH = pytest.mark.parametrize("kind", [FastRNN, FastLSTM], ids=["RNN", "LSTM"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# Gradients by hand


def problem(T=6, N=3, D=4, H=5, V=7):
    """Return the arguments of rnn_gradients."""
    g = seeded(T * 100 + N * 10 + H)

    def draw(*shape):
        return 0.6 * torch.randn(*shape, generator=g, dtype=F64)

    X = draw(T, N, D)
    targets = torch.randint(V, (T, N), generator=g)
    return X, targets, draw(N, H), draw(D, H), draw(H, H), draw(H), draw(H, V), draw(V)


def forward(X, targets, H, W_xh, W_hh, b_h, W_hq, b_q):
    """Return the states, H_0 first, the logits of each step, and the loss."""
    states, logits, loss = [H], [], 0.0
    for X_t, Y_t in zip(X, targets, strict=True):
        states.append(torch.tanh(X_t @ W_xh + states[-1] @ W_hh + b_h))
        logits.append(states[-1] @ W_hq + b_q)
        loss = loss + F.cross_entropy(logits[-1], Y_t, reduction="sum")
    return states, logits, loss


@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
def test_every_gradient_by_hand_is_autograds(T, N, D, H):
    X, targets, *arguments = problem(T, N, D, H)
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    states, _, loss = forward(X, targets, *leaves)
    for state in states[1:]:
        state.retain_grad()
    loss.backward()
    expected = {name: leaf.grad for name, leaf in zip(NAMES, leaves, strict=True)}
    expected["delta"] = torch.stack([state.grad for state in states[1:]])
    expected["loss"] = loss.detach()
    ours = rnn_gradients(X, targets, *arguments)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        close(ours[name], value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
def test_every_gradient_by_hand_is_a_quotient_of_differences(T, N, D, H, name):
    # A central difference is off by the square of the step times a third derivative,
    # and by the rounding of the loss over the step: a few 1e-9 here, where gradients
    # reach 10.
    X, targets, *arguments = problem(T, N, D, H, V=4)
    ours = rnn_gradients(X, targets, *arguments)[name]
    step, place = 1e-5, NAMES.index(name)
    quotients = torch.empty_like(ours)
    for entry in range(ours.numel()):
        losses = []
        for sign in (1, -1):
            moved = [argument.clone() for argument in arguments]
            moved[place].view(-1)[entry] += sign * step
            losses.append(forward(X, targets, *moved)[-1])
        quotients.view(-1)[entry] = (losses[0] - losses[1]) / (2 * step)
    close(ours, quotients, atol=1e-8)


def test_delta_follows_its_recursion_and_begins_with_the_last_error():
    X, targets, *arguments = problem()
    _, _, W_hh, _, W_hq, _ = arguments
    delta = rnn_gradients(X, targets, *arguments)["delta"]
    states, logits, _ = forward(X, targets, *arguments)
    H, O = torch.stack(states[1:]), torch.stack(logits)  # noqa: E741
    error = O.softmax(-1) - F.one_hot(targets, 7)
    close(delta[-1], error[-1] @ W_hq.T)
    later = (delta[1:] * (1 - H[1:] ** 2)) @ W_hh.T
    close(delta[:-1], error[:-1] @ W_hq.T + later)


def test_tokens_are_summed_not_averaged():
    X, targets, H_0, *parameters = problem()
    together = rnn_gradients(X, targets, H_0, *parameters)
    alone = [
        rnn_gradients(X[:, n], targets[:, n], H_0[n], *parameters)
        for n in torch.arange(3).split(1)
    ]
    for name in ("loss", *NAMES[1:]):
        close(together[name], sum(part[name] for part in alone))
    close(together["H_0"], torch.cat([part["H_0"] for part in alone]))
    close(together["delta"], torch.cat([part["delta"] for part in alone], dim=1))
    # Four scores of zero: log 4 for each token, whatever the state.
    X, targets, *arguments = problem(V=4)
    arguments[-2:] = [tensor.zero_() for tensor in arguments[-2:]]
    loss = rnn_gradients(X, targets, *arguments)["loss"]
    close(loss, targets.numel() * torch.tensor(4, dtype=F64).log())


def test_the_gradients_by_hand_are_those_of_a_model_of_the_fast_layer():
    layer = bent(FastRNN, 7, 5)
    model = LanguageModel(layer, 7, init_std=0.7, generator=seeded(1))
    ids = torch.randint(7, (3, 9), generator=seeded(2))
    X, Y = ids[:, :-1], ids[:, 1:]
    (H_0,) = drawn_state(layer)
    H_0.requires_grad_()
    logits, _ = model(X, (H_0,))
    F.cross_entropy(logits, Y.T.reshape(-1), reduction="sum").backward()
    rows = one_hot(X.T, 7, dtype=F64)
    parameters = {"H_0": H_0, **dict(layer.named_parameters())}
    parameters |= {"W_hq": model.W_hq, "b_q": model.b_q}
    arguments = [parameters[name].detach() for name in NAMES]
    ours = rnn_gradients(rows, Y.T, *arguments)
    for name, parameter in parameters.items():
        close(ours[name], parameter.grad)


def test_the_arguments_of_the_gradients_by_hand_stay_as_they_are():
    arguments = problem()
    before = [argument.clone() for argument in arguments]
    rnn_gradients(*arguments)
    assert all(a.equal(b) for a, b in zip(arguments, before, strict=True))


@pytest.mark.parametrize("shape", [(6, 2), (3, 6), (6,), (6, 3, 1)])
def test_targets_that_do_not_fit_are_refused(shape):
    X, _, *arguments = problem()
    with pytest.raises(ValueError, match=r"X \(6, 3, 4\) ") as refused:
        rnn_gradients(X, torch.zeros(shape, dtype=torch.int64), *arguments)
    assert f"targets {shape} " in str(refused.value)
    assert "accepted: X (T, N, D), targets (T, N), H_0 (N, H), " in str(refused.value)


def test_a_sequence_of_no_step_is_refused():
    X, targets, *arguments = problem()
    with pytest.raises(ValueError, match=r"targets \(0, 3\) .* none empty"):
        rnn_gradients(X[:0], targets[:0], *arguments)


# The identity that replaces tanh


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_tanh_by_the_sigmoid_stays_within_two_roundings_of_one(dtype):
    small = torch.logspace(-40, 2, 20_001, dtype=dtype)
    z = torch.cat([torch.linspace(-s, s, 200_001, dtype=dtype) for s in (100, 10, 1)])
    z = torch.cat([z, small, -small])
    result = _tanh_of_half_(2 * z, z.new_tensor(-1.0))
    assert result.dtype == dtype
    assert result.abs().max() == 1  # never beyond: 1 - H^2 is not negative
    bound = 2 * torch.finfo(dtype).eps
    close(result.double(), z.double().tanh(), atol=bound)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_tanh_by_the_sigmoid_at_the_ends(dtype):
    minus_one = torch.tensor(-1.0, dtype=dtype)
    ends = torch.tensor(
        [-torch.inf, -3e38, -100.0, 0.0, 100.0, 3e38, torch.inf, torch.nan],
        dtype=dtype,
    )
    *found, last = _tanh_of_half_(ends, minus_one).tolist()
    assert found == [-1, -1, -1, 0, 1, 1, 1]
    assert last != last  # not a number stays none


def test_tanh_by_the_sigmoid_overwrites_its_argument():
    z = normal(3)
    assert _tanh_of_half_(z, z.new_tensor(-1.0)) is z


# The functions


@pytest.mark.parametrize("parts", ["none", "first state", "one that needs no gradient"])
@pytest.mark.parametrize(("T", "N", "H"), [(4, 2, 3), (1, 2, 3), (3, 1, 1)])
def test_the_gradients_of_the_functions_equal_differences(T, N, H, parts):
    def rnn(P, W_hh, H_0=None):
        return RNNFunction.apply(P.clone(), H_0, W_hh)  # it overwrites P

    def lstm(P, W_h, H_0=None, C_0=None):
        return LSTMFunction.apply(P.clone(), H_0, C_0, W_h)

    for function, gates, count in ((rnn, 1, 1), (lstm, 4, 2)):
        tensors = [normal(T, N, gates * H), normal(H, gates * H, seed=1)]
        if parts != "none":
            tensors += [normal(N, H, seed=2 + part) for part in range(count)]
        for tensor in tensors:
            tensor.requires_grad_()
        if parts == "one that needs no gradient":
            tensors[-1].requires_grad_(False)
        assert torch.autograd.gradcheck(function, tensors)


def test_the_functions_overwrite_the_input_products():
    P = normal(4, 2, 3)
    H = RNNFunction.apply(P, None, normal(3, 3))
    assert H.data_ptr() == P.data_ptr()
    P = normal(4, 2, 12)
    outputs, C, gates = LSTMFunction.apply(P, None, None, normal(3, 12))
    assert gates.data_ptr() == P.data_ptr()
    i, f, g, o = gates.chunk(4, dim=2)
    cell = torch.zeros(2, 3, dtype=F64)
    for t in range(4):
        cell = f[t] * cell + i[t] * g[t]
        close(outputs[t], o[t] * cell.tanh())
    close(C, cell)


def test_the_input_products_after_the_function_are_what_came_through_it():
    W_hh = normal(3, 3, seed=1)
    gradients = []
    for pick in (0, 1):
        leaf = normal(4, 2, 3).requires_grad_()
        P = leaf.clone()
        H = RNNFunction.apply(P, None, W_hh)
        (P, H)[pick].square().sum().backward()
        gradients.append(leaf.grad)
    close(*gradients)
    # The LSTM's: the gates, here also by the loop and autograd.
    W_h, gradients = normal(3, 12, seed=1), []
    for way in ("P", "gates", "loop"):
        leaf = normal(4, 2, 12).requires_grad_()
        P, H, C = leaf.clone(), torch.zeros(2, 3), torch.zeros(2, 3)
        if way == "loop":
            gates = []
            for Z in P:
                i, f, g, o = (Z + H.to(F64) @ W_h).chunk(4, dim=1)
                gates += [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]
                C = gates[-3] * C + gates[-4] * gates[-2]
                H = gates[-1] * C.tanh()
            P = gates = torch.stack(gates).view(4, 4, 2, 3).transpose(1, 2).flatten(2)
        else:
            _, _, gates = LSTMFunction.apply(P, None, None, W_h)
        ({"gates": gates}.get(way, P)).pow(3).sum().backward()
        gradients.append(leaf.grad)
    close(gradients[0], gradients[1], atol=0)
    close(gradients[0], gradients[2])


# The layers


def bent(kind, D=4, H=5):
    """Return a layer in the range where the units bend, with biases that matter."""
    layer = kind(D, H, init_std=0.7, generator=seeded(), dtype=F64)
    for parameter in layer.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, generator=seeded(1))
    return layer


def twins(kind, D=4, H=5):
    """Return the fast layer and the slow one, with the same weights."""
    return bent(kind, D, H), bent(SLOW[kind], D, H)


def transplanted(ours):
    """Return PyTorch's layer with our weights."""
    theirs = TORCHS[type(ours)](ours.input_size, ours.hidden_size, dtype=F64)
    W_x, W_h, b = ours.parameters()
    values = (W_x.T, W_h.T, b, torch.zeros_like(b))
    with torch.no_grad():
        for target, value in zip(theirs.parameters(), values, strict=True):
            target.copy_(value)
    return theirs


def drawn_state(layer, N=3):
    return tuple(
        normal(N, layer.hidden_size, seed=3 + part)
        for part in range(len(layer.begin_state(N)))
    )


def weighted(outputs):
    return (outputs * normal(*outputs.shape, seed=9, dtype=outputs.dtype)).sum()


def everything(outputs, last):
    return weighted(outputs) + sum((k + 1) * s.pow(3).sum() for k, s in enumerate(last))


READS = {
    "everything": everything,
    "outputs": lambda outputs, last: outputs.square().sum(),
    # Gradients arrive with strides of zero, and in another order.
    "sum of outputs": lambda outputs, last: outputs.sum(),
    "outputs turned round": lambda outputs, last: weighted(outputs.transpose(0, 2)),
    "last state": lambda outputs, last: last[0].square().sum(),
    "last part": lambda outputs, last: last[-1].square().sum(),  # the cell of an LSTM
    "last output": lambda outputs, last: outputs[-1].square().sum(),
    "first output": lambda outputs, last: outputs[0].square().sum(),
    "some outputs": lambda outputs, last: outputs[1::2].sin().sum() + outputs[0, 0, 0],
    "some and the last part": lambda outputs, last: (
        outputs[: len(outputs) // 2 + 1].square().sum() + last[-1].sin().sum()
    ),
}


def run(layer, inputs, state, read):
    """Return outputs, state and all gradients of the loss that ``read`` makes of them.

    Gradients are asked for of whatever requires them; inputs and state are copied.
    """

    def copied(tensor):
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)

    inputs = copied(inputs)
    state = None if state is None else tuple(copied(part) for part in state)
    layer.zero_grad()
    outputs, last = layer(inputs, state)
    read(outputs, last).backward()
    leaves = {f"parameter {i}": p for i, p in enumerate(layer.parameters())}
    leaves |= {f"state {i}": part for i, part in enumerate(state or ())}
    leaves["inputs"] = inputs
    result = {"outputs": outputs, **{f"last {i}": s for i, s in enumerate(last)}}
    for name, leaf in leaves.items():
        assert leaf.requires_grad or leaf.grad is None
        if leaf.requires_grad:
            gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            result[f"gradient of {name}"] = gradient
    return result


def same(ours, expected, atol=1e-12):
    assert ours.keys() == expected.keys()
    for name in expected:
        close(ours[name], expected[name], atol)


@BOTH
@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("with_state", [True, False])
def test_a_fast_layer_computes_what_the_slow_one_does(kind, with_state, read):
    for T, N, D, H in SHAPES:
        fast, slow = twins(kind, D, H)
        inputs = normal(T, N, D, seed=2).requires_grad_()
        state = drawn_state(slow, N) if with_state else None
        for part in state or ():
            part.requires_grad_()
        same(run(fast, inputs, state, read), run(slow, inputs, state, read))


@BOTH
@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
@pytest.mark.parametrize("with_state", [True, False])
def test_a_fast_layer_computes_what_pytorchs_does(kind, T, N, D, H, with_state):
    ours = bent(kind, D, H)
    theirs = transplanted(ours)
    start = drawn_state(ours, N)
    X, X_t = (normal(T, N, D, seed=2).requires_grad_() for _ in range(2))
    first = tuple(part.clone().requires_grad_() for part in start)
    first_t = tuple(part[None].clone().requires_grad_() for part in start)
    outputs, last = ours(X, first if with_state else None)
    begin = (first_t if kind is FastLSTM else first_t[0]) if with_state else None
    outputs_t, last_t = theirs(X_t, begin)
    last_t = last_t if kind is FastLSTM else (last_t,)
    assert outputs.shape == (T, N, H)
    close(outputs, outputs_t)
    close(last, tuple(part.squeeze(0) for part in last_t))
    assert last[0].equal(outputs[-1])

    everything(outputs, last).backward()
    everything(outputs_t, last_t).backward()
    W_x, W_h, b = ours.parameters()
    close(W_x.grad, theirs.weight_ih_l0.grad.T)
    close(W_h.grad, theirs.weight_hh_l0.grad.T)
    close(b.grad, theirs.bias_ih_l0.grad)
    close(X.grad, X_t.grad)
    if with_state:
        for part, part_t in zip(first, first_t, strict=True):
            close(part.grad, part_t.grad[0])


@BOTH
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_ids_are_their_one_hot_rows(kind, dtype):
    fast, slow = twins(kind, D=9)
    ids = torch.randint(8, (7, 3), generator=seeded(5))  # 8 stays unread
    state = tuple(part.requires_grad_() for part in drawn_state(slow))
    ours = run(fast, ids.to(dtype), state, everything)
    rows = one_hot(ids, 9, dtype=F64)
    same(ours, run(slow, rows, state, everything))
    same(ours, run(fast, rows, state, everything))
    assert ours["gradient of parameter 0"][8].eq(0).all()


@BOTH
@pytest.mark.parametrize("T", [1, 60])
def test_in_float32_a_fast_layer_is_the_slow_one_but_for_rounding(kind, T):
    fast, slow = (layer.float() for layer in twins(kind, H=16))
    with torch.no_grad():
        for layer in (fast, slow):
            list(layer.parameters())[1].mul_(0.4)  # so that rounding does not grow
    inputs = normal(T, 3, 4, seed=2, dtype=torch.float32).requires_grad_()
    ours, expected = (run(layer, inputs, None, everything) for layer in (fast, slow))
    for name in expected:
        assert ours[name].dtype == torch.float32
        size = expected[name].abs().max().clamp(min=1).item()
        close(ours[name], expected[name], atol=4e-6 * size)


@BOTH
def test_saturated_units_pass_no_gradient_and_nothing_that_is_not_a_number(kind):
    fast, slow = twins(kind)
    inputs = (1e4 * normal(6, 3, 4, seed=2)).requires_grad_()
    ours = run(fast, inputs, None, everything)
    same(ours, run(slow, inputs, None, everything))
    assert all(tensor.isfinite().all() for tensor in ours.values())


# What is differentiated, and what is not


@BOTH
@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("needed", ["", "0", "1", "0 1", "none of it"])
def test_parts_of_a_state_that_need_no_gradient(kind, with_ids, needed):
    fast, slow = twins(kind)
    if with_ids:
        inputs = torch.randint(4, (6, 3), generator=seeded(2))
    else:
        inputs = normal(6, 3, 4, seed=2)
    state = drawn_state(slow)
    for part, tensor in enumerate(state):
        tensor.requires_grad_(str(part) in needed)
    rows = one_hot(inputs, 4, dtype=F64) if with_ids else inputs
    ours = run(fast, inputs, state, everything)
    same(ours, run(slow, rows, state, everything))


@BOTH
@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("trained", ["W_x", "W_h", "b", "W_x b", "nothing"])
def test_frozen_parameters_get_no_gradient_and_the_others_keep_theirs(
    kind, with_ids, trained
):
    fast, slow = twins(kind)
    inputs = normal(6, 3, 4, seed=2).requires_grad_()
    if with_ids:
        inputs = torch.randint(4, (6, 3), generator=seeded(2))
    for layer in (fast, slow):
        for name, parameter in zip(
            ("W_x", "W_h", "b"), layer.parameters(), strict=True
        ):
            parameter.requires_grad_(name in trained.split())
    state = tuple(part.requires_grad_() for part in drawn_state(slow))
    rows = one_hot(inputs, 4, dtype=F64) if with_ids else inputs
    ours = run(fast, inputs, state, everything)
    same(ours, run(slow, rows, state, everything))


@BOTH
@pytest.mark.parametrize("off", ["no_grad", "inference_mode", "frozen"])
@pytest.mark.parametrize("with_state", [True, False])
def test_without_gradients_the_outputs_are_the_same(kind, off, with_state):
    fast, _ = twins(kind)
    ids = torch.randint(4, (6, 3), generator=seeded(2))
    state = drawn_state(fast) if with_state else None
    outputs, last = fast(ids, state)
    assert outputs.requires_grad
    assert all(part.requires_grad for part in last)
    if off == "frozen":
        fast.requires_grad_(False)
        outputs_off, last_off = fast(ids, state)
    else:
        with getattr(torch, off)():
            outputs_off, last_off = fast(ids, state)
    assert outputs_off.equal(outputs)
    close(last_off, last, atol=0)
    assert not outputs_off.requires_grad
    assert not any(part.requires_grad for part in last_off)


def differentiate_twice(loss, leaf):
    (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
    gradient.square().sum().backward()


@BOTH
@pytest.mark.parametrize("with_state", [True, False])
def test_gradients_of_gradients_are_refused(kind, with_state):
    layer = bent(kind)
    ids = torch.tensor([[0, 1], [2, 3]])
    state = drawn_state(layer, 2) if with_state else None
    for parameter in layer.parameters():
        outputs, last = layer(ids, state)
        with pytest.raises(RuntimeError, match="differentiated twice"):
            differentiate_twice(everything(outputs.square(), last), parameter)


@BOTH
def test_gradients_of_gradients_are_refused_for_a_linear_loss_too(kind):
    layer = bent(kind)
    X = normal(4, 3, 4).requires_grad_()
    outputs, _ = layer(X)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        differentiate_twice(outputs.sum(), X)


@BOTH
def test_going_back_twice_over_one_reading_gives_the_same_twice(kind):
    layer = bent(kind)
    loss = everything(*layer(normal(6, 3, 4), drawn_state(layer)))
    parameters = list(layer.parameters())
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    close(torch.autograd.grad(loss, parameters), first, atol=0)


# Carried states


@BOTH
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_gradients_travel_through_a_state_that_is_carried(kind, cut):
    layer = bent(kind)
    parameters = list(layer.parameters())
    inputs = normal(7, 3, 4, seed=2).requires_grad_()
    state = tuple(part.requires_grad_() for part in drawn_state(layer))
    outputs, last = layer(inputs, state)
    early, carried = layer(inputs[:cut], state)
    late, last_of_two = layer(inputs[cut:], carried)
    close(torch.cat([early, late]), outputs)
    close(last_of_two, last)
    leaves = [*parameters, inputs, *state]
    expected = torch.autograd.grad(everything(outputs, last), leaves)
    in_two = everything(torch.cat([early, late]), last_of_two)
    close(torch.autograd.grad(in_two, leaves), expected)


@BOTH
def test_reading_step_by_step_is_reading_at_once(kind):
    layer = bent(kind)
    parameters = list(layer.parameters())
    ids = torch.randint(4, (7, 3), generator=seeded(2))
    state, steps = None, []
    for X in ids.split(1):
        output, state = layer(X, state)
        steps.append(output)
    outputs, last = layer(ids)
    close(torch.cat(steps), outputs)
    close(state, last)
    close(
        torch.autograd.grad(everything(torch.cat(steps), state), parameters),
        torch.autograd.grad(everything(outputs, last), parameters),
    )


@BOTH
def test_a_detached_state_cuts_the_gradient(kind):
    fast, slow = twins(kind)
    inputs = normal(7, 3, 4, seed=2)
    found = []
    for layer in (fast, slow):
        first, state = layer(inputs[:4])
        second, last = layer(inputs[4:], detach_state(state))
        loss = everything(second, last) + first.square().sum()
        found.append(torch.autograd.grad(loss, list(layer.parameters())))
    close(*found)


# Half precision, autocast, torch.compile

HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


@BOTH
@HALF
@pytest.mark.parametrize("init_std", [0.01, 0.2])
def test_in_half_precision_a_fast_layer_is_as_exact_as_the_loop(kind, dtype, init_std):
    exact, fast, slow = (
        each(28, 32, init_std=init_std, generator=seeded(), dtype=F64)
        for each in (SLOW[kind], kind, SLOW[kind])
    )
    rounded = {name: p.to(dtype).to(F64) for name, p in exact.state_dict().items()}
    exact.load_state_dict(rounded)  # so that only the computation differs
    fast.load_state_dict(rounded), slow.load_state_dict(rounded)
    X = one_hot(torch.randint(28, (35, 4), generator=seeded(1)), 28, dtype=F64)
    start = tuple(part.to(dtype) for part in drawn_state(exact, 4))
    inputs = X.to(dtype)
    found = []

    def read(outputs, last):
        return everything(outputs.to(F64), [part.to(F64) for part in last])

    for layer in (exact, fast.to(dtype), slow.to(dtype)):
        kept = F64 if layer is exact else dtype
        first = tuple(part.to(kept) for part in start)
        results = run(layer, inputs.to(kept), first, read)
        found.append({name: tensor.to(F64) for name, tensor in results.items()})
        assert {tensor.dtype for tensor in results.values()} == {kept}
    for name, truth in found[0].items():
        ours, loops = ((other[name] - truth).norm() for other in found[1:])
        assert ours <= 1.05 * loops, name
        assert ours < 0.02 * truth.norm() or init_std > 0.1


@BOTH
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("with_ids", [True, False])
def test_under_autocast_the_layer_computes_as_without(kind, with_ids, inside):
    layer = bent(kind).float()
    inputs = normal(6, 3, 4, seed=2, dtype=torch.float32)
    if with_ids:
        inputs = torch.randint(4, (6, 3), generator=seeded(2))
    state = tuple(part.float().requires_grad_() for part in drawn_state(layer))
    leaves = [*layer.parameters(), *state]
    outputs, last = layer(inputs, state)
    expected = torch.autograd.grad(everything(outputs, last), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs_in, last_in = layer(inputs, state)
        assert torch.is_autocast_enabled("cpu")
        if inside:
            found = torch.autograd.grad(everything(outputs_in, last_in), leaves)
    if not inside:
        found = torch.autograd.grad(everything(outputs_in, last_in), leaves)
    assert outputs_in.dtype == torch.float32
    assert outputs_in.equal(outputs)
    close(last_in, last, atol=0)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        if with_ids or not inside:
            close(ours, theirs, atol=0)
        else:  # the product for W_x is autograd's, and rounded
            assert (ours - theirs).norm() < 0.01 * theirs.norm()


@BOTH
def test_under_autocast_what_half_precision_layers_return_is_read(kind):
    layer, before = bent(kind).float(), nn.Linear(4, 4)
    loop = SLOW[kind](4, 5)
    loop.load_state_dict(layer.state_dict())
    X = normal(6, 3, 4, seed=2, dtype=torch.float32)
    state = tuple(part.bfloat16() for part in drawn_state(layer))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = before(X)
        assert features.dtype == torch.bfloat16
        outputs, _ = layer(features, state)
        expected, _ = loop(features, state)
    assert outputs.dtype == torch.float32
    assert (outputs - expected).norm() < 0.05 * expected.norm()
    outputs.sum().backward()
    assert before.weight.grad.norm() > 0


@BOTH
@pytest.mark.parametrize(
    ("own", "given"), [(torch.float32, F64), (torch.bfloat16, torch.float32)]
)
def test_inputs_and_states_of_another_dtype_are_refused(kind, own, given):
    layer = kind(4, 5, dtype=own)
    message = f"has dtype {given}, on cpu; accepted: {own}, on cpu, like the parameters"
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(2, 3, 4, dtype=given))
    for part in range(len(layer.begin_state(3))):
        state = list(layer.begin_state(3))
        state[part] = state[part].to(given)
        with pytest.raises(ValueError, match=message):
            layer(torch.zeros(2, 3, dtype=torch.int64), tuple(state))
    with pytest.raises(ValueError, match=r"has dtype torch\.int64, on cpu; accepted"):
        layer(torch.zeros(2, 3, 4, dtype=torch.int64))


@BOTH
def test_gradients_of_gradients_are_refused_in_a_compiled_model_too(kind):
    layer = bent(kind)
    compiled = torch.compile(layer, backend="eager")  # needs no compiler
    X = normal(4, 3, 4).requires_grad_()
    outputs, _ = compiled(X)
    close(outputs, layer(X)[0], atol=0)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        differentiate_twice(outputs.square().sum(), X)
    (ours,) = torch.autograd.grad(compiled(X)[0].square().sum(), X)
    close(ours, torch.autograd.grad(layer(X)[0].square().sum(), X)[0], atol=0)


# Memory: nothing that is handed in or handed out is spoilt


@BOTH
@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("T", [1, 6])
def test_nothing_that_is_handed_in_is_changed(kind, with_ids, T):
    layer = bent(kind)
    inputs = normal(T, 3, 4, seed=2).requires_grad_()
    if with_ids:
        inputs = torch.randint(4, (T, 3), generator=seeded(2))
    state = tuple(part.requires_grad_() for part in drawn_state(layer))
    given = [inputs, *state, *layer.parameters()]
    before = [tensor.detach().clone() for tensor in given]
    everything(*layer(inputs, state)).backward()
    assert all(a.equal(b) for a, b in zip(given, before, strict=True))
    assert [tensor._version for tensor in state] == [0] * len(state)


@BOTH
@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("T", [1, 2, 6])
def test_gradients_that_arrive_are_left_as_they_are(kind, with_ids, T):
    layer = bent(kind)
    inputs = torch.zeros(T, 3, dtype=torch.int64) if with_ids else normal(T, 3, 4)
    outputs, last = layer(inputs, drawn_state(layer))
    arriving = [normal(*tensor.shape, seed=7) for tensor in (outputs, *last)]
    before = [tensor.clone() for tensor in arriving]
    leaves = list(layer.parameters())
    torch.autograd.grad((outputs, *last), leaves, arriving, retain_graph=True)
    # Also the outputs' alone, which nothing adds to the state's on the way.
    torch.autograd.grad(outputs, leaves, arriving[0])
    assert all(a.equal(b) for a, b in zip(arriving, before, strict=True))


@BOTH
def test_an_early_reading_survives_a_later_one(kind):
    layer = bent(kind)
    parameters = list(layer.parameters())
    inputs = normal(6, 3, 4)
    first, last = layer(inputs)
    kept = [first.clone(), *(part.clone() for part in last)]
    expected = torch.autograd.grad(everything(first, last), parameters)
    first, last = layer(inputs)
    everything(*layer(-inputs)).backward()
    close([first, *last], kept, atol=0)
    close(torch.autograd.grad(everything(first, last), parameters), expected, atol=0)


@BOTH
@pytest.mark.parametrize("grad", [True, False])
def test_the_state_is_no_view_of_the_outputs(kind, grad):
    layer = bent(kind)
    with torch.set_grad_enabled(grad):
        outputs, last = layer(normal(6, 3, 4))
    kept = outputs.clone()
    for part in last:
        assert part.untyped_storage().nbytes() == 3 * 5 * 8  # N H numbers, not T N H
        with torch.no_grad():
            part.zero_()
    assert outputs.equal(kept)


@BOTH
def test_the_last_state_may_be_overwritten_before_the_way_back(kind):
    # A minibatch may begin anew in some rows.
    gradients = []
    for layer in twins(kind):
        outputs, last = layer(normal(6, 3, 4))
        for part in last if type(layer) is kind else ():
            part.detach()[0] = 0
        outputs.square().sum().backward()
        gradients.append([parameter.grad for parameter in layer.parameters()])
    close(*gradients)


@BOTH
@pytest.mark.parametrize("what", ["inputs", "ids", "state", "weights"])
def test_memory_in_another_order_means_the_same(kind, what):
    fast, slow = twins(kind)
    inputs, rows = normal(6, 3, 4, seed=2), None
    state = drawn_state(slow)
    if what == "inputs":
        inputs = normal(3, 4, 6, seed=2).permute(2, 0, 1)
    elif what == "ids":
        inputs = torch.randint(4, (3, 6), generator=seeded(2)).T
        rows = one_hot(inputs, 4, dtype=F64)
    elif what == "state":
        state = tuple(part.T.contiguous().T for part in state)
    else:
        for parameter in fast.parameters():
            if parameter.dim() == 2:
                parameter.data = parameter.data.T.contiguous().T
    state = tuple(part.requires_grad_() for part in state)
    if what in ("inputs", "ids"):
        assert not inputs.is_contiguous()
    ours = run(fast, inputs, state, everything)
    expected = run(slow, inputs if rows is None else rows, state, everything)
    same(ours, expected)


# The layers as modules


@BOTH
@pytest.mark.parametrize("forward", [True, False])
def test_a_fast_layer_and_a_slow_one_exchange_their_weights(kind, forward):
    kinds = (SLOW[kind], kind) if forward else (kind, SLOW[kind])
    giver, taker = bent(kinds[0]), kinds[1](4, 5, dtype=F64)
    taker.load_state_dict(giver.state_dict())
    inputs = normal(6, 3, 4)
    close(taker(inputs)[0], giver(inputs)[0])
    names = [name for name, _ in giver.named_parameters()]
    assert [name for name, _ in taker.named_parameters()] == names
    assert copy.deepcopy(taker)(inputs)[0].equal(taker(inputs)[0])


@BOTH
def test_the_same_arguments_draw_the_same_weights(kind):
    options = {"forget_bias": 1.5} if kind is FastLSTM else {}
    fast, slow = (
        each(4, 5, init_std=0.3, generator=seeded(), dtype=F64, **options)
        for each in (kind, SLOW[kind])
    )
    assert isinstance(fast, SLOW[kind])
    for name, parameter in slow.named_parameters():
        assert getattr(fast, name).equal(parameter)
        assert getattr(fast, name).requires_grad


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_everything_is_in_the_dtype_asked_for(kind, dtype):
    layer = kind(4, 5, dtype=dtype)
    for inputs in (torch.zeros(2, 3, 4, dtype=dtype), torch.tensor([[0, 1, 2]])):
        outputs, state = layer(inputs)
        outputs.sum().backward()
        gradients = (parameter.grad for parameter in layer.parameters())
        tensors = (*layer.parameters(), *layer.begin_state(3), outputs, *state)
        assert {tensor.dtype for tensor in (*tensors, *gradients)} == {dtype}


@BOTH
def test_everything_is_on_the_device_asked_for(kind):
    layer = kind(4, 5, device="meta", generator=seeded())
    outputs, state = layer(torch.zeros(2, 3, 4, device="meta"))
    outputs.sum().backward()
    gradients = (parameter.grad for parameter in layer.parameters())
    for tensor in (*layer.parameters(), outputs, *state, *gradients):
        assert tensor.is_meta


# Inside of a model


TEXT = "the time traveller " * 40
VOCAB = Vocab(TEXT)


def model_of(kind):
    V, generator = len(VOCAB), seeded()
    layer = kind(V, 24, init_std=0.2, generator=generator, dtype=F64)
    return LanguageModel(layer, V, generator=generator)


@BOTH
def test_a_model_of_a_fast_layer_learns_a_repeating_text_as_that_of_the_slow_one(kind):
    histories = []
    for model in (model_of(kind), model_of(SLOW[kind])):
        history = fit(
            model,
            lambda: sequential_batches(VOCAB.encode(TEXT), 4, 19),
            torch.optim.Adam(model.parameters(), lr=0.02),
            num_epochs=30 if isinstance(model.layer, kind) else 5,
            carry_state=True,
        )
        histories.append(torch.tensor([epoch.train for epoch in history], dtype=F64))
        if isinstance(model.layer, kind):
            assert perplexity(history[-1].train) < 1.1
            assert generate("the time", 60, model, VOCAB) in TEXT
    # An optimiser divides by gradients near zero: what rounding does to them grows.
    close(histories[0][:5], histories[1], atol=1e-9)


@BOTH
def test_a_model_of_a_fast_layer_is_measured_as_one_of_the_slow_layer(kind):
    ids = VOCAB.encode(TEXT)
    ours, expected = (evaluate(model_of(each), ids) for each in (kind, SLOW[kind]))
    assert ours == pytest.approx(expected, rel=0, abs=1e-12)
    assert evaluate(model_of(kind), ids, chunk=7) == pytest.approx(expected, abs=1e-12)


# What is refused


@BOTH
@pytest.mark.parametrize("wrong", [-1, 4, 1000])
@pytest.mark.parametrize("with_state", [True, False])
def test_an_id_out_of_range_is_refused(kind, wrong, with_state):
    layer = kind(4, 5)
    ids = torch.tensor([[1, 2, 3], [2, wrong, 1]])
    state = layer.begin_state(3) if with_state else None
    span = f"{min(wrong, 1)} to {max(wrong, 3)}"
    with pytest.raises(ValueError, match=rf"run from {span}; accepted: 0 \.\.\. 3"):
        layer(ids, state)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bool, torch.complex64])
def test_ids_that_are_no_integers_are_refused(kind, dtype):
    with pytest.raises(ValueError, match=f"inputs has dtype {dtype}; accepted: an"):
        kind(4, 5)(torch.zeros(2, 3, dtype=dtype))


@BOTH
def test_ids_of_no_time_step_are_refused(kind):
    layer = kind(4, 5)
    for state in (None, layer.begin_state(3)):
        with pytest.raises(ValueError, match="inputs has no time step; accepted: at"):
            layer(torch.zeros(0, 3, dtype=torch.int64), state)


@BOTH
@pytest.mark.parametrize("shape", [(4,), (2, 3, 3), (2, 3, 5), (0, 3, 4), (2, 3, 4, 4)])
def test_features_of_another_shape_are_refused(kind, shape):
    with pytest.raises(ValueError, match=r"inputs has shape .*; accepted") as refused:
        kind(4, 5)(torch.zeros(shape))
    assert f"{shape}; accepted: (T, N, 4)" in str(refused.value)


@BOTH
@pytest.mark.parametrize("shape", [(), (4,)])
def test_features_of_another_shape_are_refused_beside_a_state_too(kind, shape):
    layer = kind(4, 5)
    with pytest.raises(ValueError, match=r"inputs has shape .*; accepted"):
        layer(torch.zeros(shape), layer.begin_state(3))


@BOTH
@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("shape", [(1, 5), (2, 4), (3, 5), (1, 2, 5), (5,)])
def test_a_state_of_another_shape_is_refused(kind, with_ids, shape):
    layer = kind(4, 5)
    inputs = torch.zeros(6, 2, dtype=torch.int64) if with_ids else torch.zeros(6, 2, 4)
    right = layer.begin_state(2)
    for part in range(len(right)):
        state = list(right)
        state[part] = torch.zeros(shape)
        with pytest.raises(ValueError, match=r"state has shape .*; acc") as refused:
            layer(inputs, tuple(state))
        assert f"{shape}; accepted: (2, 5)" in str(refused.value)


@BOTH
@pytest.mark.parametrize("parts", [0, 1, 2, 3])
def test_a_state_with_another_number_of_parts_is_refused(kind, parts):
    layer = kind(4, 5)
    right = len(layer.begin_state(2))
    state = (torch.zeros(2, 5),) * parts
    if parts == right:
        layer(torch.zeros(6, 2, 4), state)
        return
    message = f"state is a tuple of {parts}; accepted: tuple of {right}"
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(6, 2, 4), state)


@BOTH
def test_a_state_that_is_no_tuple_is_refused(kind):
    layer = kind(4, 5)
    for state in (list(layer.begin_state(1)), layer.begin_state(1)[0]):
        with pytest.raises(ValueError, match=r"state is a <class .*; accepted: tuple"):
            layer(torch.zeros(6, 1, 4), state)


@BOTH
@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(kind, size):
    with pytest.raises(ValueError, match=f"input_size is {size}; accepted"):
        kind(size, 5)
    with pytest.raises(ValueError, match=f"hidden_size is {size}; accepted"):
        kind(4, size)
