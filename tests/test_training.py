"""Properties of measuring and of training, and parity with d2l's training."""

import copy
import io
import math
import re
import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion import training
from companion.batching import random_batches, sequential_batches
from companion.language_model import LanguageModel
from companion.measuring import evaluate, perplexity
from companion.reference import load_d2l
from companion.rnn import RNN
from companion.training import Epoch, fit, train_epoch

F64 = torch.float64
V, H = 5, 8
LAYERS = {
    "ours": lambda: RNN(V, H, init_std=0.5, dtype=F64),
    "nn.GRU": lambda: nn.GRU(V, H, dtype=F64),
    "nn.LSTM": lambda: nn.LSTM(V, H, num_layers=2, dtype=F64),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model(kind="ours"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(LAYERS[kind](), V, init_std=0.5)


@pytest.fixture(params=LAYERS)
def model(request):
    return make_model(request.param)


@pytest.fixture
def ours():
    return make_model()


@pytest.fixture
def ids():
    return torch.randint(V, (121,), generator=seeded(1))


@pytest.fixture
def batches(ids):
    return list(sequential_batches(ids, 3, 7))  # 5 minibatches


def sgd(model, rate=0.5):
    return torch.optim.SGD(model.parameters(), lr=rate)


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(some, others, tolerance=0.0):
    torch.testing.assert_close(some, others, rtol=tolerance, atol=tolerance)


def loss_of(model, X, Y, state=None):
    """Return the cross-entropy of one minibatch, from its definition, and the state."""
    logits, state = model(X, state)
    right = logits.log_softmax(dim=1)[torch.arange(Y.numel()), Y.T.reshape(-1)]
    return -right.mean(), state


def by_hand(model, batches, rate, carry, max_norm):
    """Train as `train_epoch` should, with nothing of it: losses and norms."""
    state, losses, norms = None, [], []
    for X, Y in batches:
        if not carry:
            state = None
        elif state is not None:
            state = nn_map(state, torch.detach)
        loss, state = loss_of(model, X, Y, state)
        parameters = list(model.parameters())
        grads = torch.autograd.grad(loss, parameters)
        norm = sum((grad**2).sum() for grad in grads).sqrt().item()
        with torch.no_grad():
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter -= rate * min(1, max_norm / norm) * grad
        losses.append(loss.item())
        norms.append(norm)
    return losses, norms


def nn_map(state, function):
    if isinstance(state, torch.Tensor):
        return function(state)
    return tuple(nn_map(part, function) for part in state)


class _Broken(nn.Module):
    """Passes a model on; at one call the output (or the gradient) gets bad entries."""

    def __init__(self, model, call, bad, *, gradient=False):
        super().__init__()
        self.model, self.call, self.bad, self.gradient = model, call, bad, gradient
        self.calls = 0

    def forward(self, ids, state=None):
        self.calls += 1
        logits, state = self.model(ids, state)
        if self.calls == self.call:
            if self.gradient:
                logits.register_hook(lambda grad: grad * self.bad)
            else:
                logits = logits * self.bad
        return logits, state


# Perplexity


def test_perplexity_by_hand():
    assert perplexity(0.0) == 1
    assert perplexity(math.log(28)) == pytest.approx(28)
    # 1/2 and 1/8 to the tokens that came: the geometric mean of 2 and 8.
    assert perplexity((math.log(2) + math.log(8)) / 2) == pytest.approx(4)


@pytest.mark.parametrize("nats", [710.0, 1e300, math.inf])
def test_a_perplexity_beyond_the_range_of_a_float_is_infinite(nats):
    assert perplexity(709.0) < math.inf
    assert perplexity(nats) == math.inf


def test_the_perplexity_of_no_number_is_no_number():
    assert math.isnan(perplexity(math.nan))


@pytest.mark.parametrize("kind", [RNN, nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("vocab_size", [1, 2, 28])
# In float32 a sum over the text is rounded.
@pytest.mark.parametrize(("dtype", "error"), [(F64, 1e-12), (torch.float32, 2e-6)])
def test_a_uniform_model_has_perplexity_v_exactly(kind, vocab_size, dtype, error):
    model = LanguageModel(kind(vocab_size, 8, dtype=dtype), vocab_size)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    ids = torch.randint(vocab_size, (300,), generator=seeded())
    expected = pytest.approx(math.log(vocab_size), abs=error)
    assert evaluate(model, ids) == expected
    batches = random_batches(ids, 4, 5, generator=seeded())
    assert train_epoch(model, batches, sgd(model, 0), carry_state=False)[0] == expected


# Evaluating


def test_evaluating_equals_a_loop_over_single_tokens(model, ids):
    state, total = None, 0.0
    for here, after in pairwise(ids):
        logits, state = model(here.reshape(1, 1), state)
        total -= logits[0].softmax(dim=0)[after].log().item()
    assert evaluate(model, ids) == pytest.approx(total / (len(ids) - 1), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 30), chunk=st.integers(1, 40), kind=st.sampled_from([*LAYERS]))
def test_evaluating_does_not_depend_on_the_chunk(n, chunk, kind):
    model = make_model(kind)
    ids = torch.randint(V, (n,), generator=seeded(n))
    assert evaluate(model, ids, chunk=chunk) == pytest.approx(
        evaluate(model, ids), abs=1e-12
    )


def test_evaluating_reads_each_token_but_the_last_once_in_order(ours, ids):
    read = []
    ours.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    evaluate(ours, ids, chunk=50)
    assert [x.shape for x in read] == [(1, 50), (1, 50), (1, 20)]
    assert torch.cat(read, dim=1)[0].equal(ids[:-1])


def test_evaluating_changes_no_weight_and_records_nothing(model, ids):
    recorded = []
    model.register_forward_hook(lambda *_: recorded.append(torch.is_grad_enabled()))
    before = weights(model)
    evaluate(model, ids)
    assert recorded == [False]
    assert torch.is_grad_enabled()
    same(weights(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("in_training", [True, False])
def test_dropout_is_off_while_evaluating_and_the_mode_is_put_back(ids, in_training):
    layer = nn.GRU(V, H, num_layers=2, dropout=0.9)
    model = LanguageModel(layer, V, init_std=1.0, dropout=0.5, input_dropout=0.5)
    expected = evaluate(model.eval(), ids)
    model.train(in_training)
    before = torch.get_rng_state()
    assert evaluate(model, ids) == expected
    assert torch.get_rng_state().equal(before)
    assert all(module.training == in_training for module in model.modules())


@pytest.mark.parametrize("in_training", [True, False])
def test_the_mode_is_put_back_when_evaluating_fails(ours, ids, in_training):
    ours.train(in_training)
    ours.b_q.data = torch.zeros(V + 1, dtype=F64)  # no width that fits
    with pytest.raises(RuntimeError):
        evaluate(ours, ids)
    assert all(module.training == in_training for module in ours.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("n", [0, 1])
def test_a_text_with_nothing_to_predict_is_refused(ours, ids, n):
    with pytest.raises(ValueError, match=f"ids holds {n} tokens; accepted: 2 or more"):
        evaluate(ours, ids[:n])


@pytest.mark.parametrize("chunk", [0, -1])
def test_a_chunk_of_nothing_is_refused(ours, ids, chunk):
    with pytest.raises(ValueError, match=f"chunk is {chunk}; accepted: 1 or more"):
        evaluate(ours, ids, chunk=chunk)


# One epoch


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("max_norm", [0.05, 1e6])
def test_an_epoch_equals_a_loop_by_hand(model, batches, carry, max_norm):
    twin = copy.deepcopy(model)
    losses, norms = by_hand(twin, batches, 0.5, carry, max_norm)
    train, tokens, largest = train_epoch(
        model, batches, sgd(model), carry_state=carry, max_norm=max_norm
    )
    assert train == pytest.approx(sum(losses) / len(losses), abs=1e-9)
    assert tokens == 5 * 3 * 7
    assert largest == pytest.approx(max(norms), rel=1e-9)
    assert (largest > max_norm) == (max_norm < 1)  # clipped here, not there
    same(weights(model), weights(twin), tolerance=1e-9)


def test_a_carried_state_makes_a_difference(model, batches):
    twin = copy.deepcopy(model)
    carried, *_ = train_epoch(model, batches, sgd(model), carry_state=True)
    fresh, *_ = train_epoch(twin, batches, sgd(twin), carry_state=False)
    assert abs(carried - fresh) > 1e-4


def test_a_fresh_state_makes_the_order_of_the_minibatches_irrelevant(model, batches):
    losses = [
        train_epoch(model, some, sgd(model, 0), carry_state=False)[0]
        for some in (batches, batches[::-1])
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)


def test_the_gradient_of_a_minibatch_ends_at_its_beginning(model, batches):
    """Else the second backward pass would need what the first one has freed."""
    states = []

    def watch(module, arguments, output):
        states.append((arguments[1], output[1]))

    model.layer.register_forward_hook(watch)
    train_epoch(model, batches, sgd(model), carry_state=True)
    assert states[0][0] is None
    for (_, before), (after, _) in pairwise(states):
        cut = nn_map(after, lambda tensor: tensor.requires_grad)
        assert cut == nn_map(after, lambda tensor: False)
        same(after, nn_map(before, torch.detach))


@pytest.mark.parametrize("T", [1, 2, 5, 10, 20])
def test_without_steps_an_epoch_measures_what_evaluate_does(model, ids, T):
    """Carrying the state over a cut changes nothing, wherever the cuts are."""
    batches = sequential_batches(ids, 1, T)
    train, tokens, _ = train_epoch(model, batches, sgd(model, 0), carry_state=True)
    assert tokens == 120
    assert train == pytest.approx(evaluate(model, ids), abs=1e-12)


def test_the_mean_is_over_tokens_not_over_minibatches(ours):
    short = (torch.tensor([[0]]), torch.tensor([[1]]))
    long = (torch.tensor([[2, 1, 0], [4, 3, 1]]), torch.tensor([[1, 0, 2], [3, 1, 1]]))
    small, big = (loss_of(ours, *pair)[0].item() for pair in (short, long))
    train, tokens, _ = train_epoch(ours, [short, long], sgd(ours, 0), carry_state=False)
    assert tokens == 7
    assert train == pytest.approx((small + 6 * big) / 7, abs=1e-12)
    assert abs(small - big) > 0.01


def test_the_norm_returned_is_the_largest_before_clipping(ours, batches):
    def norms():
        return by_hand(copy.deepcopy(ours), batches, 0, False, 1)[1]

    order = sorted(range(5), key=lambda i: norms()[i])
    batches[:] = [batches[i] for i in (*order[::2], *order[-2::-2])]
    assert max(norms()) == norms()[2]  # neither the first nor the last
    for max_norm in (1e-6, 1e6):
        *_, largest = train_epoch(
            ours, batches, sgd(ours, 0), carry_state=False, max_norm=max_norm
        )
        assert largest == pytest.approx(norms()[2], rel=1e-12)


def test_a_step_is_no_longer_than_rate_times_radius(model, batches):
    before = weights(model)
    train_epoch(model, batches[:1], sgd(model, 2.0), carry_state=True, max_norm=0.01)
    moved = [
        (new - old).reshape(-1) for new, old in zip(weights(model), before, strict=True)
    ]
    assert torch.cat(moved).norm().item() == pytest.approx(0.02)


def test_the_model_is_in_training_mode_from_the_first_minibatch(ours, batches):
    modes = []
    ours.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    train_epoch(ours.eval(), batches, sgd(ours), carry_state=True)
    assert modes == [True] * 5


def test_gradients_left_over_from_before_play_no_part(ours, batches):
    twin = copy.deepcopy(ours)
    for parameter in ours.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    train_epoch(ours, batches, sgd(ours), carry_state=True)
    train_epoch(twin, batches, sgd(twin), carry_state=True)
    same(weights(ours), weights(twin))


@pytest.mark.parametrize("nothing", [[], iter(())])
def test_an_epoch_without_a_minibatch_is_refused(ours, nothing):
    with pytest.raises(ValueError, match="batches is empty; accepted: at least one"):
        train_epoch(ours, nothing, sgd(ours), carry_state=True)


# When numbers stop being finite


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_its_step(ours, batches, bad):
    twin = copy.deepcopy(ours)
    _, norms = by_hand(twin, batches[:2], 0.5, True, 1.0)
    model = _Broken(ours, 3, bad)
    with pytest.raises(FloatingPointError) as caught:
        train_epoch(model, batches, sgd(model), carry_state=True, epoch=4)
    message = str(caught.value)
    wanted = r"the loss is (nan|inf) at epoch 4, step 3: lower the learning rate or cl"
    assert re.match(wanted, message)
    (note,) = caught.value.__notes__
    assert note == f"The norm of the gradient one step earlier: {norms[1]:.3g}"
    assert model.calls == 3
    same(weights(ours), weights(twin), tolerance=1e-9)


@pytest.mark.parametrize("step", [1, 2])
def test_a_note_gives_the_norm_one_step_earlier_if_there_was_one(ours, batches, step):
    _, norms = by_hand(copy.deepcopy(ours), batches[:1], 0.5, True, 1.0)
    model = _Broken(ours, step, math.nan)
    with pytest.raises(FloatingPointError) as caught:
        train_epoch(model, batches, sgd(model), carry_state=True)
    note = f"The norm of the gradient one step earlier: {norms[0]:.3g}"
    assert getattr(caught.value, "__notes__", []) == [note][: step - 1]


@pytest.mark.parametrize(("bad", "norm"), [(math.nan, "nan"), (1e308, "inf")])
def test_a_gradient_that_is_not_finite_stops_before_its_step(ours, batches, bad, norm):
    twin = copy.deepcopy(ours)
    by_hand(twin, batches[:1], 0.5, True, 1.0)
    model = _Broken(ours, 2, bad, gradient=True)
    loss = loss_of(twin, *batches[1])[0].item()
    with pytest.raises(FloatingPointError) as caught:
        train_epoch(model, batches, sgd(model), carry_state=False, epoch=7)
    message = f"the norm of the gradient is {norm} at epoch 7, step 2; the loss is "
    assert str(caught.value).startswith(message)
    assert float(str(caught.value)[len(message) :]) == pytest.approx(loss, rel=5e-3)
    assert model.calls == 2
    same(weights(ours), weights(twin), tolerance=1e-9)


def test_a_gradient_that_is_not_finite_moves_no_average_of_the_optimiser(ours, batches):
    model = _Broken(ours, 2, math.nan, gradient=True)
    optimiser = torch.optim.Adam(model.parameters())
    with pytest.raises(FloatingPointError):
        train_epoch(model, batches, optimiser, carry_state=False)
    for moments in optimiser.state.values():
        assert moments["step"] == 1
        assert moments["exp_avg"].isfinite().all()


def test_a_radius_that_is_not_above_zero_is_refused(ours, batches):
    before = weights(ours)
    with pytest.raises(ValueError, match="max_norm is 0; accepted"):
        train_epoch(ours, batches, sgd(ours), carry_state=True, max_norm=0)
    same(weights(ours), before)


# Parity with d2l


@pytest.fixture(params=["ours", "nn.RNN", "nn.GRU", "nn.LSTM"])
def pair(request):
    """Return two equal models in float32: one for us, one for d2l."""
    made = {"ours": lambda: RNN(V, H, init_std=0.5)} | {
        f"nn.{kind.__name__}": lambda kind=kind: kind(V, H)
        for kind in (nn.RNN, nn.GRU, nn.LSTM)
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(made[request.param](), V, init_std=0.5)
    return model, copy.deepcopy(model)


@pytest.mark.filterwarnings("ignore::UserWarning")  # d2l makes floats of tensors
@pytest.mark.parametrize("scheme", [sequential_batches, random_batches])
@pytest.mark.parametrize("optimiser", [sgd, lambda m: torch.optim.Adam(m.parameters())])
def test_three_epochs_are_d2ls(pair, ids, scheme, optimiser):
    d2l = load_d2l()
    carry = scheme is sequential_batches
    ours, theirs = pair
    our_optimiser, their_optimiser = optimiser(ours), optimiser(theirs)
    our_draws, their_draws = seeded(3), seeded(3)
    for _ in range(3):
        train, *_ = train_epoch(
            ours,
            scheme(ids, 3, 7, generator=our_draws),
            our_optimiser,
            carry_state=carry,
        )
        their_perplexity, _ = d2l.train_epoch_ch8(
            theirs,
            scheme(ids, 3, 7, generator=their_draws),
            nn.CrossEntropyLoss(),
            their_optimiser,
            torch.device("cpu"),
            not carry,
        )
        assert train == pytest.approx(math.log(their_perplexity), abs=1e-5)
    same(weights(ours), weights(theirs), tolerance=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("carry", [True, False])
def test_three_epochs_are_those_of_d2ls_scratch_model_and_its_sgd(batches, carry):
    d2l = load_d2l()
    layer = RNN(V, H, init_std=0.5, generator=seeded())
    model = LanguageModel(layer, V, init_std=0.5, generator=seeded(1))

    def forward(inputs, state, params):
        W_xh, W_hh, b_h, W_hq, b_q = params
        (H_t,), scores = state, []
        for X_t in inputs:
            H_t = torch.tanh(X_t @ W_xh + H_t @ W_hh + b_h)
            scores.append(H_t @ W_hq + b_q)
        return torch.cat(scores), (H_t,)

    parts = (layer.W_xh, layer.W_hh, layer.b_h, model.W_hq, model.b_q)
    copies = [part.detach().clone().requires_grad_() for part in parts]
    scratch = d2l.RNNModelScratch(
        V, H, torch.device("cpu"), lambda *_: copies,
        lambda N, H, device: (torch.zeros(N, H, device=device),), forward,
    )  # fmt: skip
    optimiser = sgd(model, 1.0)
    for _ in range(3):
        train, *_ = train_epoch(model, batches, optimiser, carry_state=carry)
        their_perplexity, _ = d2l.train_epoch_ch8(
            scratch, batches, nn.CrossEntropyLoss(),
            lambda batch_size: d2l.sgd(copies, 1.0, batch_size),
            torch.device("cpu"), not carry,
        )  # fmt: skip
        assert train == pytest.approx(math.log(their_perplexity), abs=1e-5)
    same([p.detach() for p in parts], [p.detach() for p in copies], tolerance=1e-5)


# Several epochs


def test_the_history_tells_each_epoch(ours, ids, batches):
    twin = copy.deepcopy(ours)
    made, told = [], []

    def make_batches():
        made.append(len(told))  # anew in each epoch, before it is reported
        return iter(batches)

    history = fit(
        ours,
        make_batches,
        sgd(ours),
        3,
        carry_state=True,
        max_norm=0.5,
        after_epoch=told.append,
    )
    assert history == told
    assert made == [0, 1, 2]
    assert [epoch.number for epoch in history] == [1, 2, 3]
    optimiser = sgd(twin)
    for epoch in history:
        assert isinstance(epoch, Epoch)
        train, _, norm = train_epoch(
            twin, batches, optimiser, carry_state=True, max_norm=0.5
        )
        assert (epoch.train, epoch.norm) == (train, norm)
        assert epoch.speed > 0
    same(weights(ours), weights(twin))


def test_speed_is_tokens_per_second_of_training_alone(ours, batches, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    optimiser = sgd(ours)
    optimiser.register_step_post_hook(lambda *_: wait(0.5))
    history = fit(
        ours,
        lambda: batches,
        optimiser,
        2,
        carry_state=True,
        after_epoch=lambda _: wait(100.0),
    )
    assert [epoch.speed for epoch in history] == [105 / 2.5] * 2


def test_after_epoch_sees_the_model_as_the_epoch_left_it(ours, batches):
    twin, seen = copy.deepcopy(ours), []

    def look(_):
        seen.append(weights(ours))
        ours.eval()  # nor does it matter in which mode it leaves the model

    fit(ours, lambda: batches, sgd(ours), 3, carry_state=True, after_epoch=look)
    optimiser = sgd(twin)
    for kept in seen:
        train_epoch(twin, batches, optimiser, carry_state=True)
        same(kept, weights(twin))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_small_model_overfits_a_repeating_string(kind):
    ids = torch.arange(150) % 3  # "abcabc..."
    model = make_model(kind)
    history = fit(
        model,
        lambda: sequential_batches(ids, 4, 6),
        torch.optim.Adam(model.parameters(), lr=0.03),
        15,
        carry_state=True,
    )
    assert perplexity(history[0].train) > 1.5
    assert perplexity(history[-1].train) < 1.1
    assert perplexity(evaluate(model, ids)) < 1.1


def test_an_error_names_the_epoch_it_came_in(ours, batches):
    model, told = _Broken(ours, 5 + 5 + 2, math.nan), []
    with pytest.raises(FloatingPointError, match="the loss is nan at epoch 3, step 2:"):
        fit(
            model,
            lambda: batches,
            sgd(model),
            9,
            carry_state=True,
            after_epoch=told.append,
        )
    assert [epoch.number for epoch in told] == [1, 2]


@pytest.mark.parametrize("num_epochs", [0, -1])
def test_a_run_of_no_epoch_is_refused(ours, batches, num_epochs):
    with pytest.raises(ValueError, match=f"num_epochs is {num_epochs}; accepted: 1 or"):
        fit(ours, lambda: batches, sgd(ours), num_epochs, carry_state=True)


def test_epochs_without_minibatches_are_refused(ours):
    with pytest.raises(ValueError, match="batches is empty; accepted"):
        fit(ours, list, sgd(ours), 2, carry_state=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals(
    ours, batches, monkeypatch, capsys, terminal
):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    with monkeypatch.context() as patch:  # undone before capsys is
        patch.setattr(sys, "stderr", stderr)
        *_, last = fit(ours, lambda: batches, sgd(ours), 2, carry_state=True)
    shown = stderr.getvalue()
    assert terminal or shown == ""
    for part in (r"\b2/2\b", r"([\d?]epoch/s|s/epoch)[],]"):
        assert bool(re.search(part, shown)) == terminal
    assert (f"perplexity={perplexity(last.train):.2f}]" in shown) == terminal
    assert capsys.readouterr().out == ""


# What would be a lie


@pytest.fixture
def both_ways():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(
            nn.GRU(V, H, bidirectional=True, dtype=F64), V, init_std=0.5
        )


def test_a_model_that_looks_ahead_is_measured_on_demand_only(both_ways, ids):
    with pytest.raises(ValueError, match=r"model is bidirectional.*look_ahead=True"):
        evaluate(both_ways, ids)
    scores = [evaluate(both_ways, ids, chunk=c, look_ahead=True) for c in (1, 1000)]
    logits, _ = both_ways(ids[None, :-1])
    assert scores[1] == pytest.approx(F.cross_entropy(logits, ids[1:]).item())
    assert abs(scores[0] - scores[1]) > 1e-3  # and so it is no score of the model


def test_a_model_that_looks_ahead_carries_no_state(both_ways, batches):
    with pytest.raises(ValueError, match="carry_state is True; accepted for a bidir"):
        train_epoch(both_ways, batches, sgd(both_ways), carry_state=True)
    with pytest.raises(ValueError, match="carry_state is True; accepted for a bidir"):
        fit(both_ways, lambda: batches, sgd(both_ways), 1, carry_state=True)
    assert train_epoch(both_ways, batches, sgd(both_ways), carry_state=False)[1] == 105


def test_one_deep_inside_of_a_model_is_found_too(both_ways, ids):
    with pytest.raises(ValueError, match="model is bidirectional"):
        evaluate(nn.Sequential(_Broken(both_ways, 9, 1.0)), ids)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, Y: (X, Y.T), r"Y has shape \(7, 3\); accepted: \(3, 7\)"),
        (lambda X, Y: (X, Y.reshape(-1)), r"Y has shape \(21,\) and .*; accepted"),
        (lambda X, Y: (X, Y.double()), "Y has .*torch.float64; accepted: .N, T"),
        (lambda X, Y: (X, Y - 100), "Y run from .*; accepted: 0 ... 4"),
        (lambda X, Y: (X, Y + V), "Y run from .*; accepted: 0 ... 4"),
        (lambda X, Y: (X + V, Y), "X run from .*; accepted: 0 ... 4"),
        (lambda X, Y: (X.bool(), Y), "X has .*torch.bool; accepted: .N, T"),
        (lambda X, Y: (X.to("meta"), Y), "X is on meta; accepted: cpu"),
        (lambda X, Y: (X,), "a minibatch is .*; accepted: a pair X, Y"),
        (lambda X, Y: X, "a minibatch is .*; accepted: a pair X, Y"),
    ],
)
def test_a_minibatch_that_is_no_pair_of_ids_is_refused(ours, batches, change, said):
    before = weights(ours)
    with pytest.raises(ValueError, match=said):
        train_epoch(ours, [change(*batches[0])], sgd(ours), carry_state=False)
    same(weights(ours), before)


def test_an_id_that_stands_for_padding_is_not_skipped_in_silence(ours):
    with pytest.raises(ValueError, match="ids run from -100 to 3; accepted: 0"):
        evaluate(ours, torch.tensor([1, 2, 3, -100]))


@pytest.mark.parametrize(
    "form", [torch.Tensor.int, torch.Tensor.tolist, torch.Tensor.numpy]
)
def test_ids_of_other_kinds_train_and_measure_the_same(ours, ids, batches, form):
    twin = copy.deepcopy(ours)
    pairs = [(form(X), form(Y)) for X, Y in batches]
    found = train_epoch(ours, pairs, sgd(ours), carry_state=True)
    assert found == train_epoch(twin, batches, sgd(twin), carry_state=True)
    assert evaluate(ours, form(ids)) == evaluate(twin, ids)


def test_an_optimiser_of_another_model_is_refused(ours, batches):
    other = make_model("nn.GRU")
    with pytest.raises(ValueError, match="optimiser owns no parameter of the model"):
        train_epoch(ours, batches, sgd(other), carry_state=True)
    some = torch.optim.SGD([ours.W_hq], lr=0.1)  # the rest is frozen
    train_epoch(ours, batches, some, carry_state=True)


@pytest.mark.parametrize("carry", ["False", None, 0])
def test_a_flag_that_is_neither_true_nor_false_is_refused(ours, batches, carry):
    with pytest.raises(ValueError, match=r"carry_state is .*; accepted: True or False"):
        train_epoch(ours, batches, sgd(ours), carry_state=carry)


def test_half_precision_is_measured_in_single_precision(ids):
    model = make_model("nn.GRU")
    exact = evaluate(model, ids)
    for dtype, error in ((torch.float16, 1e-3), (torch.bfloat16, 1e-2)):
        assert evaluate(copy.deepcopy(model).to(dtype), ids) == pytest.approx(
            exact, rel=error
        )


def test_sums_of_half_precision_do_not_stop_growing():
    class Uniform(nn.Module):
        def forward(self, ids, state):
            return torch.zeros(ids.numel(), 5, dtype=torch.bfloat16), state

    ids = torch.zeros(4001, dtype=torch.int64)
    assert evaluate(Uniform(), ids, chunk=4000) == pytest.approx(math.log(5), rel=1e-5)


def test_the_note_of_a_gradient_whose_squares_overflow_is_passed_on(batches):
    model = _Broken(make_model("nn.GRU").float(), 1, 1e30, gradient=True)
    with pytest.raises(FloatingPointError, match="is inf at epoch 1, step 1") as caught:
        train_epoch(model, batches, sgd(model), carry_state=False)
    assert "Every entry is finite" in caught.value.__notes__[0]


@pytest.mark.parametrize("nats", ["1", None, True, torch.zeros(2)])
def test_a_cross_entropy_that_is_no_number_is_refused(nats):
    with pytest.raises(ValueError, match=r"nats is .*; accepted: a number"):
        perplexity(nats)


def test_a_perplexity_may_come_from_a_tensor_of_one_number():
    assert perplexity(torch.tensor(0.0)) == 1
