"""The benchmarks compare like with like, and count what they say they count."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from companion import datasets
from tests.benchmarks import __main__ as command
from tests.benchmarks import ablation, layers, names

ROOT = Path(__file__).parents[1]
RATIOS = {
    "rnn_vs_nn_rnn",
    "rnn_vs_d2l_scratch",
    "rnn_share_of_products",
    "rnn_share_of_matmul_ceiling",
    "lstm_vs_nn_lstm",
    "lstm_share_of_products",
    "lstm_share_of_matmul_ceiling",
}
NAMES = {"names_epoch_vs_one_at_a_time", "names_epoch_share_of_matmul_ceiling"}


@pytest.fixture(scope="module")
def steps():
    return layers.steps()


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_all_contestants_of_a_kind_compute_the_same_loss(steps, kind):
    names = [f"{kind} from scratch", f"nn.{kind}", f"Fast{kind}"]
    names += ["d2l from scratch"] if kind == "RNN" else []
    losses = torch.stack([steps[name]() for name in names])
    assert losses.isfinite().all()
    torch.testing.assert_close(losses, losses[:1].expand(len(names)))


def test_a_step_ends_with_gradients_of_all_parameters(monkeypatch):
    seen = []
    real = layers.LanguageModel
    monkeypatch.setattr(
        layers, "LanguageModel", lambda *a: seen.append(real(*a)) or seen[-1]
    )
    for name, step in layers.steps().items():
        if "product" not in name:
            step()
    assert len(seen) == 6
    for model in seen:
        norms = [p.grad.norm() for p in model.parameters()]
        assert all(norm > 0 for norm in norms)


def test_gradients_of_the_contestants_agree(monkeypatch):
    models = {}
    real = layers.LanguageModel

    def keep(layer, V):
        models[type(layer)] = real(layer, V)
        return models[type(layer)]

    monkeypatch.setattr(layers, "LanguageModel", keep)
    for name, step in layers.steps().items():
        if "product" not in name:
            step()
    for slow, fast in ((layers.RNN, layers.FastRNN), (layers.LSTM, layers.FastLSTM)):
        for p, q in zip(
            models[slow].parameters(), models[fast].parameters(), strict=True
        ):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("hidden", "gates"), [(layers.RNN_SIZE, 1), (layers.LSTM_SIZE, 4), (8, 1), (8, 4)]
)
def test_the_count_of_operations_is_that_of_the_products(hidden, gates):
    with FlopCounterMode(display=False) as counter:
        layers.products_alone(hidden, gates, "cpu")()
    assert counter.get_total_flops() == layers.operations(hidden, gates)


def test_the_loop_from_scratch_needs_those_products_and_the_look_ups():
    step = layers.steps()["RNN from scratch"]
    with FlopCounterMode(display=False) as counter:
        step()
    N, T, V, H = layers.N, layers.T, layers.V, layers.RNN_SIZE
    one_hot = 2 * (2 * N * T * V * H)  # forward, and the gradient of the matrix
    assert counter.get_total_flops() == layers.operations(H, 1) + one_hot


def test_ratios_are_what_their_names_say():
    seconds = {
        "nn.RNN": 3.0,
        "d2l from scratch": 4.0,
        "FastRNN": 2.0,
        "nn.LSTM": 5.0,
        "FastLSTM": 4.0,
        "products of FastRNN": 1.5,
        "products of FastLSTM": 1.0,
        "large product": 1.0,
    }
    ratios = layers.ratios(seconds)
    assert set(ratios) == RATIOS
    assert ratios["rnn_share_of_products"] == 0.75
    assert ratios["lstm_share_of_products"] == 0.25
    assert ratios["rnn_vs_nn_rnn"] == 1.5
    assert ratios["rnn_vs_d2l_scratch"] == 2
    assert ratios["lstm_vs_nn_lstm"] == 1.25
    ceiling = 2 * layers.LARGE**3
    for kind, hidden, gates, time in (("rnn", 512, 1, 2), ("lstm", 256, 4, 4)):
        share = layers.operations(hidden, gates) / time / ceiling
        assert ratios[f"{kind}_share_of_matmul_ceiling"] == pytest.approx(share)


def test_the_rungs_compute_the_loss_and_the_gradients_of_pytorchs_layers(monkeypatch):
    models = []
    real = layers.LanguageModel
    monkeypatch.setattr(
        layers, "LanguageModel", lambda *a: models.append(real(*a)) or models[-1]
    )
    contestants = layers.steps(rungs=True)
    for name, step in contestants.items():
        if name in ablation.RUNGS or "product" not in name:
            step()
    for kind, rungs in ((nn.RNN, ablation.Layer), (nn.LSTM, ablation.LSTMLayer)):
        (library,) = (model for model in models if type(model.layer) is kind)
        ours = [model for model in models if type(model.layer) is rungs]
        assert len(ours) == (len(ablation.RUNGS) if kind is nn.RNN else 1)
        for model in ours:
            W_x, W_h, b = (p.grad for p in model.layer.parameters())
            there = [p.grad for p in library.layer.parameters()]
            pairs = [(W_x.T, there[0]), (W_h.T, there[1]), (b, there[2])]
            pairs.append((model.W_hq.grad, library.W_hq.grad))
            for mine, theirs in pairs:
                torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


def test_the_page_shows_the_functions_that_are_measured():
    page = json.loads((ROOT / "book" / "lab_c_fast_layers.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in page["cells"]]
    for name in (
        *("ByHand", "Accumulating", "OneProduct", "InPlace"),
        *("lstm_forward", "lstm_backward", "LSTMByHand"),
    ):
        text = inspect.getsource(getattr(ablation, name)).strip()
        assert any(text in cell for cell in cells), name


@pytest.mark.parametrize("library", [layers.recurrent_alone, layers.products_onednn])
def test_both_libraries_do_the_same_recurrent_products(library):
    hidden = 64
    run = library(hidden, 4)
    seen = []

    class Shapes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function in (torch.ops.aten.mm.out, torch.ops.aten.mm.default):
                seen.append((*args[0].shape, args[1].shape[1]))
            if function is torch.ops.aten.mkldnn_linear.default:
                seen.append((*args[0].shape, args[1].shape[0]))
            return function(*args, **(kwargs or {}))

    with Shapes():
        run()
    N, T = layers.N, layers.T
    forward, backward = [(N, hidden, 4 * hidden)] * T, [(N, 4 * hidden, hidden)]
    assert seen == forward + backward * (T - 1) + [(hidden, N * T, 4 * hidden)]


def test_ratios_to_pytorchs_layers_are_of_the_same_kind():
    seconds = {"nn.RNN": 4.0, "one product": 2.0, "products of FastRNN": 1.0}
    seconds |= {"nn.LSTM": 6.0, "FastLSTM": 3.0, "large product": 1.0}
    found = layers.to_library(seconds)
    assert found == {"nn.RNN": 1, "one product": 2, "nn.LSTM": 1, "FastLSTM": 2}


def test_quartiles_are_of_the_ratios_of_each_round():
    rounds = [{"a": x} for x in (1.0, 2.0, 3.0, 4.0, 5.0)]
    found = command.spread(rounds)
    assert found == {"a": [1.5, 3.0, 4.5]}
    assert command.middle(found) == {"a": 3.0}


def test_contestants_take_turns_and_the_warm_up_is_not_counted():
    order = []
    contestants = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds = command.alternate(contestants, 4, "cpu", "test")
    assert order == ["a", "b"] * 7
    assert [len(times) for times in seconds.values()] == [4, 4]


@pytest.fixture
def small(monkeypatch):
    """Let all contestants be small, and few names be read."""
    for name, size in {
        "RNN_SIZE": 16,
        "LSTM_SIZE": 8,
        "LARGE": 64,
        "N": 4,
        "T": 6,
    }.items():
        monkeypatch.setattr(layers, name, size)
    rows, labels = names.training_rows()
    monkeypatch.setattr(names, "training_rows", lambda: (rows[::200], labels[::200]))
    for name, size in {"BLOCK": 3, "ROUNDS": 3, "BATCH": 64, "LARGE": 64}.items():
        monkeypatch.setattr(names, name, size)
    for name in ("COMPILE_THREADS", "FORCE_DISABLE_CACHES", "CACHE_DIR"):
        monkeypatch.setenv(f"TORCHINDUCTOR_{name}", "")  # put back afterwards
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def check_written(file, printed):
    content = json.loads(file.read_text())
    assert content.keys() >= RATIOS | NAMES
    assert all(content[name] > 0 and name in printed for name in NAMES)
    for name, ratio in content["results"]["one thread"]["ratios"].items():
        assert content[name] == ratio
        assert name in printed
    for key in ("date", "torch", "processor", "command"):
        assert content["provenance"][key]
    assert list(content["results"]) == ["one thread"]
    measured = content["results"]["one thread"]
    assert measured["clock"] == "process_time"
    assert measured["to PyTorch's layer"]["nn.RNN"] == 1
    for table in ("ratios", "to PyTorch's layer"):
        for name, (low, high) in (
            (n, q[::2]) for n, q in measured["quartiles"][table].items()
        ):
            assert low <= measured[table][name] <= high
    assert measured["to PyTorch's layer"].keys() >= {*ablation.RUNGS, "LSTM by hand"}
    return content


ARGUMENTS = ("--rounds", "3", "--one-thread", "--json")


@pytest.mark.usefixtures("small")
def test_the_command_writes_ratios_and_their_provenance(tmp_path, monkeypatch, capsys):
    file = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", *ARGUMENTS, str(file)])
    command.main()
    content = check_written(file, capsys.readouterr().out)
    assert content["provenance"]["data"] == datasets.origin()[0]


@pytest.mark.slow
def test_the_command_at_full_size(tmp_path):
    file = tmp_path / "out.json"
    # On all threads a busy machine would keep the threads waiting for each other.
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *ARGUMENTS, str(file)],
        cwd=ROOT,
        env={**os.environ, "COMPANION_DATA": "sample"},  # fewer names, sooner done
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    content = check_written(file, done.stdout)
    assert content["provenance"]["data"] == "sample"
    assert all(content[name] > 0 for name in RATIOS)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--rounds", "2", "--rounds is 2; accepted: 3 or more"),
        ("--json", "no/such/out.json", "there is no folder no/such"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(
    option, value, message, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["benchmarks", option, value])
    monkeypatch.setattr(command, "measure", None)  # which cannot be called
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
