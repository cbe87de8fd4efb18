"""The experiments of laboratory B in small, and their record."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from companion import records
from companion.experiments import gates as experiments
from companion.experiments import stacked
from companion.laboratory.adding import adding_batch

F64 = torch.float64
T, H = 7, stacked.HIDDEN
KINDS = [
    ("RNN", "orthogonal", 0.0),
    ("RNN", "uniform 0.5", 0.0),
    ("ReLU", "identity", 0.0),
    ("GRU", "uniform", 1.0),
    ("LSTM", "orthogonal", 3.0),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pytorch(kind, row):
    """PyTorch's layer and output layer with the parameters of a row."""
    p = {key: part[0] for key, part in stacked.unpack(kind, row[None]).items()}
    options = {"nonlinearity": "relu"} if kind == "ReLU" else {}
    built = getattr(nn, "RNN" if kind == "ReLU" else kind)
    layer, readout = built(2, H, dtype=F64, **options), nn.Linear(H, 1, dtype=F64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(p["W_x"].T)
        layer.weight_hh_l0.copy_(p["W_h"].T)
        layer.bias_ih_l0.copy_(p["b"][0])
        layer.bias_hh_l0.zero_()
        readout.weight.copy_(p["W_q"].T)
        readout.bias.copy_(p["b_q"][0])
    layer.bias_hh_l0.requires_grad_(False)
    return layer, readout


def answers(layer, readout, inputs):
    return readout(layer(inputs)[0][-1])[:, 0]


def nudged(kind, row, seed=1):
    """A row whose biases are random too."""
    parts = stacked.unpack(kind, row[None].clone())
    for key in ("b", "b_q"):
        parts[key].add_(torch.randn(parts[key].shape, generator=seeded(seed)))
    return torch.cat([part.flatten() for part in parts.values()])


@pytest.mark.parametrize(("kind", "how", "bias"), KINDS)
def test_a_stack_computes_what_pytorch_does(kind, how, bias):
    rows = torch.stack(
        [nudged(kind, stacked.start(kind, how, bias, seed)) for seed in range(3)]
    ).requires_grad_()
    batches = [adding_batch(5, T, generator=seeded(s), dtype=F64) for s in range(3)]
    X, y = (torch.stack(part, k) for part, k in zip(zip(*batches), (1, 0)))  # noqa: B905
    errors = stacked.errors(kind, stacked.unpack(kind, rows), X, y)
    (grad,) = torch.autograd.grad(errors.sum(), rows)
    for m, (inputs, targets) in enumerate(batches):
        layer, readout = pytorch(kind, rows[m].detach())
        error = (answers(layer, readout, inputs) - targets).square().mean()
        assert_close(errors[m], error)
        error.backward()
        found = {key: p[m] for key, p in stacked.unpack(kind, grad).items()}
        assert_close(found["W_x"], layer.weight_ih_l0.grad.T)
        assert_close(found["W_h"], layer.weight_hh_l0.grad.T)
        assert_close(found["b"][0], layer.bias_ih_l0.grad)
        assert_close(found["W_q"], readout.weight.grad.T)


@pytest.mark.parametrize(("kind", "how", "bias"), KINDS)
@pytest.mark.parametrize("clip", [0.5, None])
def test_a_run_of_a_stack_is_a_run_alone(monkeypatch, kind, how, bias, clip):
    monkeypatch.setattr(experiments, "EVERY", 5)
    rates, steps = (0.003, 0.01), 12
    options = {"seeds": 2, "budget": steps, "dtype": F64, "clip": clip}
    run = experiments.stack(kind, T, rates, how, bias, **options)[3]
    assert (run["rate"], run["seed"], run["steps"]) == (0.01, 1, steps)
    layer, readout = pytorch(kind, stacked.start(kind, how, bias, 1))
    parameters = [*layer.parameters(), *readout.parameters()]
    parameters = [p for p in parameters if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    data, clipped, longest = seeded(1001), 0, 0.0
    for _ in range(steps):
        inputs, targets = adding_batch(64, T, generator=data, dtype=F64)
        optimiser.zero_grad()
        (answers(layer, readout, inputs) - targets).square().mean().backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip or math.inf).item()
        clipped, longest = clipped + (norm > 1), max(longest, norm)
        optimiser.step()
    assert (run["clipped"], run["longest"]) == (clipped, pytest.approx(longest))
    inputs, targets = adding_batch(256, T, generator=seeded(10_000 + T), dtype=F64)
    error = (answers(layer, readout, inputs) - targets).square().mean().item()
    assert run["error"] == pytest.approx(error, rel=1e-4)  # PyTorch's clip adds 1e-6


@pytest.mark.parametrize(("kind", "how", "bias"), KINDS)
def test_the_gain_is_that_of_the_jacobian_by_autograd(kind, how, bias):
    row = nudged(kind, stacked.start(kind, how, bias, 1))
    layer, _ = pytorch(kind, row)
    size = 2 * H if kind == "LSTM" else H
    inputs, _ = adding_batch(8, T, generator=seeded(20_000 + T), dtype=F64)

    def last(state, n):
        parts = tuple(part[None, None] for part in state.split(H))
        found = layer(inputs[:, n : n + 1], parts if len(parts) == 2 else parts[0])[1]
        return torch.cat(found, 2).flatten() if len(parts) == 2 else found.flatten()

    logs = []
    for n in range(8):
        J = torch.autograd.functional.jacobian(
            lambda state, n=n: last(state, n), torch.zeros(size, dtype=F64)
        )
        logs.append((J.norm() / math.sqrt(size)).log10())
    found = stacked.log_gains(kind, row[None], T)
    assert found.item() == pytest.approx(torch.stack(logs).mean().item())


def test_starts():
    def start(kind, how, bias=0.0, seed=0):
        found = stacked.unpack(kind, stacked.start(kind, how, bias, seed)[None])
        return {key: part[0] for key, part in found.items()}

    for kind, blocks in stacked.GATES.items():
        for block in start(kind, "orthogonal")["W_h"].split(H, 1):
            assert_close(block @ block.T, torch.eye(H, dtype=F64))
        for block in start(kind, "identity")["W_h"].split(H, 1):
            assert_close(block, torch.eye(H, dtype=F64))
        b = start(kind, "uniform", 3.0)["b"][0]
        assert b.shape == (blocks * H,)
        assert b.eq(3).sum() == (H if blocks > 1 else 0)
        assert b[H : 2 * H].eq(3).all()
        assert b.sum() == (3 * H if blocks > 1 else 0)
    uniform = start("LSTM", "uniform")["W_h"]
    assert 0.95 / H**0.5 < uniform.abs().max() <= 1 / H**0.5
    assert start("GRU", "0.01")["W_h"].std() == pytest.approx(0.01, rel=0.1)
    small, large = (start("RNN", f"orthogonal{how}") for how in (" 0.1", ""))
    assert_close(small["W_x"], 0.1 * large["W_x"])
    assert_close(small["W_h"], large["W_h"])
    assert not uniform.equal(start("LSTM", "uniform", seed=1)["W_h"])


def test_a_job_ends_when_a_rate_has_all_its_runs_solved():
    finished = experiments.finished
    assert not finished({}, (0.1, 0.3), range(2))
    assert not finished({(0.1, 0): 5, (0.3, 1): 5}, (0.1, 0.3), range(2))
    assert finished({(0.3, 0): 5, (0.3, 1): 50}, (0.1, 0.3), range(2))
    runs = experiments.stack("GRU", 4, (0.0001, 0.03), "orthogonal", seeds=2)
    slow, fast = runs[:2], runs[2:]
    assert all(run["solved"] == run["steps"] < 1000 for run in fast)
    assert all(run["error"] < experiments.SOLVED for run in fast)
    assert all(run["solved"] is None for run in slow)
    last = max(run["steps"] for run in fast)
    assert all(run["steps"] == last for run in slow)


def test_a_run_that_leaves_does_not_disturb_the_others():
    options = {"seeds": 1, "budget": 300, "stop": False, "dtype": F64}
    rates = (0.0001, 0.03)
    (alone,) = experiments.stack("GRU", 4, rates[:1], "orthogonal", **options)
    both = experiments.stack("GRU", 4, rates, "orthogonal", **options)
    assert both[1]["solved"] is not None
    for run in (both[0], alone):
        run["before"], run["after"] = run.pop("gain")
        assert run.pop("solved") is None
    assert both[0] == pytest.approx(alone, rel=1e-6)


def test_what_is_not_finite_is_recorded_as_none():
    assert experiments.finite(1.5) == 1.5
    assert experiments.finite(math.nan) is experiments.finite(math.inf) is None
    runs = experiments.stack(
        "ReLU", T, (1e30,), "identity", seeds=1, clip=None, budget=20
    )
    assert runs[0]["solved"] is None
    assert runs[0]["error"] is None


# The record


def recorded():
    return records.load("lab_b")["results"]


def test_the_record_has_every_run_of_every_job():
    found = recorded()
    for key, (_, options) in experiments.JOBS["lab_b"].items():
        runs = options.get("seeds", 5) * len(options["rates"])
        assert len(found[key]) == runs, key


@pytest.mark.parametrize("key", ["GRU orthogonal 1, T = 10", "ReLU identity, T = 10"])
def test_a_run_of_the_record_can_be_run_again(key):
    function, options = experiments.JOBS["lab_b"][key]
    for run, kept in zip(function(**options), recorded()[key], strict=True):
        assert run["gain"][0] == pytest.approx(kept["gain"][0], abs=1e-5)
        # Rounding differs between processors, and training magnifies it.
        if run["solved"] and kept["solved"]:
            assert run["solved"] == pytest.approx(kept["solved"], rel=0.3, abs=30)
