"""The gradients by hand against autograd and differences; the fast layers' parity."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion.batching import sequential_batches
from companion.bptt import (
    FastLSTM,
    FastRNN,
    LSTMFunction,
    RNNFunction,
    _tanh_,
    rnn_gradients,
)
from companion.language_model import LanguageModel
from companion.lstm import LSTM
from companion.rnn import RNN
from companion.text import one_hot
from companion.training import fit, perplexity

F64 = torch.float64
SHAPES = [(1, 1, 1, 1), (7, 3, 4, 5), (4, 1, 6, 2), (5, 2, 1, 3)]  # T, N, D, H
NAMES = ["H_0", "W_xh", "W_hh", "b_h", "W_hq", "b_q"]
PAIRS = [(FastRNN, RNN, nn.RNN), (FastLSTM, LSTM, nn.LSTM)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# Gradients by hand --------------------------------------------------------------------


def problem(T=6, N=3, D=4, H=5, V=7):
    g = seeded(T * 100 + N * 10 + H)

    def draw(*shape):
        return 0.6 * torch.randn(*shape, generator=g, dtype=F64)

    X = draw(T, N, D)
    targets = torch.randint(V, (T, N), generator=g)
    arguments = [draw(N, H), draw(D, H), draw(H, H), draw(H), draw(H, V), draw(V)]
    return X, targets, arguments


def by_autograd(X, targets, arguments):
    leaves = [a.clone().requires_grad_() for a in arguments]
    H, W_xh, W_hh, b_h, W_hq, b_q = leaves
    states, loss = [], 0.0
    for X_t, k in zip(X, targets, strict=True):
        H = torch.tanh(X_t @ W_xh + H @ W_hh + b_h)
        H.retain_grad()
        states.append(H)
        loss = loss + F.cross_entropy(H @ W_hq + b_q, k, reduction="sum")
    loss.backward()
    result = {name: leaf.grad for name, leaf in zip(NAMES, leaves, strict=True)}
    result["delta"] = torch.stack([state.grad for state in states])
    return {"loss": loss.detach(), **result}


@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
def test_every_gradient_by_hand_is_autograds(T, N, D, H):
    X, targets, arguments = problem(T, N, D, H)
    ours = rnn_gradients(X, targets, *arguments)
    expected = by_autograd(X, targets, arguments)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        close(ours[name], value)


@pytest.mark.parametrize("place", range(6))
def test_and_central_differences(place):
    X, targets, arguments = problem()
    ours = rnn_gradients(X, targets, *arguments)[NAMES[place]]
    step = 1e-6
    for entry in range(ours.numel()):
        losses = []
        for sign in (1, -1):
            moved = [a.clone() for a in arguments]
            moved[place].view(-1)[entry] += sign * step
            losses.append(rnn_gradients(X, targets, *moved)["loss"])
        quotient = (losses[0] - losses[1]) / (2 * step)
        close(ours.view(-1)[entry], quotient, atol=1e-7)


def test_delta_follows_its_recursion_and_begins_with_the_last_error():
    X, targets, arguments = problem()
    ours = rnn_gradients(X, targets, *arguments)
    H_0, W_xh, W_hh, b_h, W_hq, b_q = arguments
    states = [H_0]
    for X_t in X:
        states.append(torch.tanh(X_t @ W_xh + states[-1] @ W_hh + b_h))
    H = torch.stack(states[1:])
    error = (H @ W_hq + b_q).softmax(-1) - F.one_hot(targets, 7)
    close(ours["delta"][-1], error[-1] @ W_hq.T)
    later = (ours["delta"][1:] * (1 - H[1:] ** 2)) @ W_hh.T
    close(ours["delta"][:-1], error[:-1] @ W_hq.T + later)


def test_losses_are_summed_so_twice_the_minibatch_has_twice_the_gradient():
    X, targets, (H_0, *parameters) = problem()
    once = rnn_gradients(X, targets, H_0, *parameters)
    twice = rnn_gradients(
        torch.cat((X, X), 1),
        torch.cat((targets, targets), 1),
        torch.cat((H_0, H_0)),
        *parameters,
    )
    for name in ("loss", *NAMES[1:]):
        close(twice[name], 2 * once[name])
    close(twice["H_0"], once["H_0"].repeat(2, 1))


@pytest.mark.parametrize("shape", [(6, 2), (3, 6), (6,), (6, 3, 1)])
def test_targets_that_do_not_fit_are_refused(shape):
    X, _, arguments = problem()
    with pytest.raises(ValueError, match=r"X has shape \(6, 3, 4\), targets"):
        rnn_gradients(X, torch.zeros(shape, dtype=torch.long), *arguments)


def test_a_sequence_of_no_steps_is_refused():
    X, targets, arguments = problem()
    with pytest.raises(ValueError, match="T at least 1"):
        rnn_gradients(X[:0], targets[:0], *arguments)


# The identity that replaces tanh ------------------------------------------------------


def test_tanh_by_the_sigmoid_is_tanh_within_two_roundings_of_one():
    z = torch.cat((torch.linspace(-30, 30, 100_001), torch.logspace(-30, 0, 1000)))
    close(_tanh_(z.clone()).double(), z.double().tanh(), atol=2e-7)
    z = z.double()
    close(_tanh_(z.clone()), z.tanh(), atol=4e-16)


def test_tanh_by_the_sigmoid_at_the_ends():
    z = torch.tensor([-torch.inf, -1000, 0, 1000, torch.inf])
    assert _tanh_(z.clone()).tolist() == [-1, -1, 0, 1, 1]
    assert _tanh_(torch.tensor([torch.nan])).isnan().all()


# The functions ------------------------------------------------------------------------


@pytest.mark.parametrize("with_state", [True, False])
def test_gradcheck_of_the_functions(with_state):
    def draw(*shape):
        tensor = torch.randn(*shape, generator=seeded(len(shape)), dtype=F64)
        return tensor.requires_grad_()

    def rnn(P, W, *state):
        return RNNFunction.apply(P.clone(), *(state or (None,)), W)

    def lstm(P, W, *state):
        return LSTMFunction.apply(P.clone(), *(state or (None, None)), W)

    state = [draw(2, 3)] if with_state else []
    assert torch.autograd.gradcheck(rnn, [draw(4, 2, 3), draw(3, 3), *state])
    state = [draw(2, 3), draw(2, 3)] if with_state else []
    assert torch.autograd.gradcheck(lstm, [draw(4, 2, 12), draw(3, 12), *state])


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_gradients_of_gradients_are_refused(fast, slow, library):
    layer = fast(4, 3)
    outputs, _ = layer(torch.tensor([[0, 1], [2, 3]]))
    loss = outputs.square().sum()
    (first,) = torch.autograd.grad(loss, list(layer.parameters())[1], create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        first.sum().backward()


# The layers ---------------------------------------------------------------------------


def twins(fast, slow, D=4, H=5):
    reference = slow(D, H, scale=0.7, generator=seeded(), dtype=F64)
    for parameter in reference.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, generator=seeded(1))
    layer = fast(D, H, dtype=F64)
    layer.load_state_dict(reference.state_dict())
    return layer, reference


def draw_state(layer, N=3, seed=3):
    g = seeded(seed)
    return [
        torch.randn(part.shape, generator=g, dtype=part.dtype)
        for part in layer.begin_state(N)
    ]


def run(layer, inputs, state, read):
    """Outputs, states and every gradient of the loss that ``read`` makes of them."""
    inputs = inputs.clone()
    if inputs.is_floating_point():
        inputs.requires_grad_()
    state = None if state is None else tuple(s.clone().requires_grad_() for s in state)
    layer.zero_grad()
    outputs, last = layer(inputs, state)
    read(outputs, last).backward()
    leaves = [*layer.parameters(), *(state or ())]
    leaves += [inputs] if inputs.is_floating_point() else []
    gradients = [
        torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves
    ]
    return [outputs, *last, *gradients]


READS = {
    "all": lambda outputs, last: (
        outputs.sin().sum() + sum(s.pow(3).sum() for s in last)
    ),
    "outputs": lambda outputs, last: outputs.square().sum(),
    "last state": lambda outputs, last: last[0].square().sum(),
    "last part": lambda outputs, last: last[-1].square().sum(),
    "one step": lambda outputs, last: outputs[len(outputs) // 2].square().sum(),
    "first step": lambda outputs, last: outputs[0].square().sum(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_a_fast_layer_is_the_slow_one(fast, slow, library, with_state, read):
    layer, reference = twins(fast, slow)
    inputs = torch.randn(6, 3, 4, generator=seeded(2), dtype=F64)
    state = draw_state(reference) if with_state else None
    for ours, expected in zip(
        run(layer, inputs, state, read),
        run(reference, inputs, state, read),
        strict=True,
    ):
        close(ours, expected)


@pytest.mark.parametrize(("T", "N", "D", "H"), SHAPES)
@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_a_fast_layer_is_pytorchs(fast, slow, library, T, N, D, H):
    layer, _ = twins(fast, slow, D, H)
    theirs = library(D, H, dtype=F64)
    W_x, W_h, b = layer.parameters()
    with torch.no_grad():
        values = (W_x.T, W_h.T, b, torch.zeros_like(b))
        for target, value in zip(theirs.parameters(), values, strict=True):
            target.copy_(value)
    X = torch.randn(T, N, D, generator=seeded(2), dtype=F64)
    state = draw_state(layer, N)
    weights = torch.randn(T, N, H, generator=seeded(4), dtype=F64)

    mine = [s.clone().requires_grad_() for s in state]
    its = [s[None].clone().requires_grad_() for s in state]
    X_1, X_2 = X.clone().requires_grad_(), X.clone().requires_grad_()
    out, last = layer(X_1, tuple(mine))
    out_2, last_2 = theirs(X_2, its[0] if len(its) == 1 else tuple(its))
    last_2 = last_2 if isinstance(last_2, tuple) else (last_2,)
    for o, states in ((out, last), (out_2, last_2)):
        ((o * weights).sum() + sum(s.square().sum() for s in states)).backward()
    close(out, out_2)
    close(X_1.grad, X_2.grad)
    for a, b_ in zip(last, last_2, strict=True):
        close(a, b_[0])
    for a, b_ in zip(mine, its, strict=True):
        close(a.grad, b_.grad[0])
    close(W_x.grad, theirs.weight_ih_l0.grad.T)
    close(W_h.grad, theirs.weight_hh_l0.grad.T)
    close(b.grad, theirs.bias_ih_l0.grad)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_ids_are_their_one_hot_rows(fast, slow, library, dtype):
    layer, reference = twins(fast, slow, D=9)
    ids = torch.randint(9, (6, 3), generator=seeded(5))
    state, read = draw_state(reference), READS["all"]
    ours = run(layer, ids.to(dtype), state, read)
    expected = run(reference, one_hot(ids, 9, dtype=F64), state, read)
    for a, b in zip(ours, expected, strict=False):  # there: the inputs' gradient too
        close(a, b)
    assert len(ours) == len(expected) - 1


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_in_float32_they_agree_to_a_few_roundings(fast, slow, library):
    layer, reference = twins(fast, slow)
    layer.float(), reference.float()
    inputs = torch.randn(6, 3, 4, generator=seeded(2))
    for ours, expected in zip(
        run(layer, inputs, None, READS["all"]),
        run(reference, inputs, None, READS["all"]),
        strict=True,
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_nothing_that_is_handed_in_is_changed(fast, slow, library, with_ids):
    layer, _ = twins(fast, slow)
    inputs = torch.randn(6, 3, 4, generator=seeded(2), dtype=F64)
    if with_ids:
        inputs = torch.randint(4, (6, 3), generator=seeded(2))
    state = tuple(s.requires_grad_() for s in draw_state(layer))
    before = [t.detach().clone() for t in (inputs, *state, *layer.parameters())]
    outputs, last = layer(inputs, state)
    READS["all"](outputs, last).backward()
    for now, then in zip((inputs, *state, *layer.parameters()), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_gradients_travel_through_a_state_that_is_handed_on(fast, slow, library):
    layer, _ = twins(fast, slow)
    inputs = torch.randn(7, 3, 4, generator=seeded(2), dtype=F64)

    def in_two(cut):
        first, state = layer(inputs[:cut])
        second, state = layer(inputs[cut:], state)
        return torch.cat((first, second)), state

    results = []
    for read in (lambda: layer(inputs), lambda: in_two(3), lambda: in_two(1)):
        layer.zero_grad()
        outputs, state = read()
        READS["all"](outputs, state).backward()
        results.append([outputs, *state, *(p.grad for p in layer.parameters())])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            close(a, b)


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_frozen_parameters_no_grad_and_parts_of_a_state(fast, slow, library):
    layer, reference = twins(fast, slow)
    inputs = torch.randint(4, (6, 3), generator=seeded(2))
    with torch.no_grad():
        outputs, _ = layer(inputs)
    assert not outputs.requires_grad
    close(outputs, reference(one_hot(inputs, 4, dtype=F64))[0])

    W_x, W_h, _ = layer.parameters()
    W_h.requires_grad_(False)
    state = draw_state(layer)
    state[-1].requires_grad_()
    expected = draw_state(layer)
    expected[-1].requires_grad_()
    READS["all"](*layer(inputs, tuple(state))).backward()
    reading = reference(one_hot(inputs, 4, dtype=F64), tuple(expected))
    READS["all"](*reading).backward()
    assert W_h.grad is None
    close(W_x.grad, next(reference.parameters()).grad)
    close(state[-1].grad, expected[-1].grad)


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_inputs_that_are_not_contiguous(fast, slow, library):
    layer, reference = twins(fast, slow)
    inputs = torch.randn(3, 4, 6, generator=seeded(2), dtype=F64).permute(2, 0, 1)
    for ours, expected in zip(
        run(layer, inputs, None, READS["all"]),
        run(reference, inputs, None, READS["all"]),
        strict=True,
    ):
        close(ours, expected)


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_what_a_fast_layer_refuses(fast, slow, library):
    layer = fast(4, 5)
    state = layer.begin_state(3)
    ids = torch.zeros(2, 3, dtype=torch.long)
    for wrong, message in (
        (ids + 4, r"ids run from 4 to 4; accepted: 0 \.\.\. 3"),
        (ids - 1, "ids run from -1 to -1"),
        (ids.double(), "dtype torch.float64; accepted: an integer dtype"),
        (ids[:0], "no time step; accepted: at least 1"),
        (torch.zeros(2, 3, 5), r"accepted: \(T, N, 4\)"),
        (torch.zeros(0, 3, 4), "T at least 1"),
        (torch.zeros(3), r"accepted: \(T, N, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            layer(wrong)
    for wrong in (
        tuple(s[:1] for s in state),
        tuple(s[None] for s in state),
        (*state, state[0]),
        list(state),
    ):
        with pytest.raises(ValueError, match="state"):
            layer(ids, wrong)


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_a_model_of_a_fast_layer_learns_what_one_of_the_slow_layer_learns(
    fast, slow, library
):
    ids = torch.tensor([0, 1, 2, 1] * 40)
    losses = []
    for kind in (fast, slow):
        layer = kind(3, 16, scale=0.3, generator=seeded(), dtype=F64)
        model = LanguageModel(layer, 3, scale=0.3, generator=seeded(1))
        history = fit(
            model,
            lambda: sequential_batches(ids, 4, 8, generator=seeded(2)),
            torch.optim.Adam(model.parameters(), lr=0.02),
            25,
            carry_state=True,
        )
        losses.append([epoch.train for epoch in history])
    close(torch.tensor(losses[0]), torch.tensor(losses[1]), atol=1e-6)
    assert perplexity(losses[0][-1]) < 1.1


def test_a_function_in_place_owns_up_to_it():
    W = torch.randn(3, 3, generator=seeded(), dtype=F64)
    gradients = []
    for pick in (lambda P, outputs: P, lambda P, outputs: outputs):
        x = torch.randn(4, 2, 3, generator=seeded(1), dtype=F64).requires_grad_()
        P = x.clone()
        outputs = RNNFunction.apply(P, None, W)
        pick(P, outputs).square().sum().backward()
        gradients.append(x.grad)
    # What P holds now came through the function, and so does its gradient.
    close(gradients[0], gradients[1])


@pytest.mark.parametrize(("fast", "slow", "library"), PAIRS)
def test_gradients_that_arrive_are_left_as_they_are(fast, slow, library):
    layer, _ = twins(fast, slow)
    outputs, last = layer(torch.zeros(4, 3, dtype=torch.long))
    sent = [
        torch.randn(o.shape, generator=seeded(), dtype=F64) for o in (outputs, *last)
    ]
    kept = [gradient.clone() for gradient in sent]
    torch.autograd.grad((outputs, *last), list(layer.parameters()), sent)
    for now, then in zip(sent, kept, strict=True):
        assert torch.equal(now, then)


def test_the_last_cell_may_be_overwritten_before_the_backward_pass():
    layer, _ = twins(FastLSTM, LSTM)
    gradients = []
    for meddle in (False, True):
        layer.zero_grad()
        outputs, (_, C) = layer(torch.zeros(4, 3, dtype=torch.long))
        if meddle:
            C.detach().zero_()
        outputs.square().sum().backward()
        gradients.append(layer.W_h.grad.clone())
    close(gradients[0], gradients[1])
