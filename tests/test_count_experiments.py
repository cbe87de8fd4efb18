"""The experiments of laboratory A in small, and their records."""

import copy
import math

import pytest
import torch
from torch.testing import assert_close

from companion import datasets
from companion.experiments import counts as experiments
from companion.laboratory.kneser_ney import KneserNey
from companion.laboratory.ngram import WittenBell
from companion.text import Vocab
from companion.training import evaluate

TEXT = ("the quick brown fox jumps over the lazy dog while seven wise men sleep " * 80)[
    :5000
]
F64 = torch.float64
SMALL = {"hidden": 8, "longest": 3, "epochs": 1, "rate": 0.02}

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


@pytest.fixture
def small(monkeypatch):
    """Put a text of 5,000 tokens in the place of the book."""
    vocab = Vocab(TEXT)
    ids = vocab.encode(TEXT)
    monkeypatch.setattr(
        experiments, "parts", lambda: (ids[:4000], ids[4000:4500], ids[4500:], vocab)
    )
    return experiments.parts()


@pytest.fixture(autouse=True)
def forked():
    with torch.random.fork_rng():
        yield


def trained(**options):
    return experiments.network(seed=0, **SMALL | options)


# Networks


@pytest.mark.parametrize("options", [{"longest": 0}, {"folds": 0}, {"folds": 2}])
def test_a_run_in_small(small, options):
    result = trained(**options, epochs=2, dynamic=(0.05, 0.3), test=True)
    assert [point["epoch"] for point in result["curve"]] == [1, 2]
    assert 1 < result["curve"][1]["validation"] < result["curve"][0]["validation"] < 30
    assert 0 < result["curve"][0]["seconds"] < result["seconds"]
    assert result["parameters"]["recurrent"] > 0
    assert (result["parameters"]["rows"] > 0) == bool(options.get("longest", 1))
    last = result["curve"][-1]["validation"]
    assert result["validation"]["static"] == pytest.approx(last, 1e-5)
    for part, text in zip(experiments.PARTS, small[1:3], strict=True):
        for way, value in result[part].items():
            logs = torch.tensor(result["scores"][part][way], dtype=F64)
            assert len(logs) == len(text) - 1
            assert value == pytest.approx(math.exp(-logs.mean()))
        static, dynamic = result["scores"][part].values()
        assert static[:20] == dynamic[:20]
        assert result[part]["dynamic"] < result[part]["static"]


def test_a_window_forgets_what_is_older_than_its_width():
    window = experiments.Window(4, 5, 3)
    inputs = torch.randn(9, 2, 4)
    whole, _ = window(inputs)
    first, state = window(inputs[:4])
    second, _ = window(inputs[4:], state)
    assert_close(torch.cat([first, second]), whole)
    inputs[2] += 1
    changed = (window(inputs)[0] != whole).any(-1).any(-1)
    assert changed.tolist() == [2 <= t <= 4 for t in range(9)]


def test_without_gates_every_gate_stays_at_one(small):
    closed = trained(gates=False)
    assert closed["parameters"]["recurrent"] < trained()["parameters"]["recurrent"]
    assert trained(recurrent_layer=False)["curve"][0]["validation"] < 30


def test_the_test_text_is_read_only_if_asked_for(small, monkeypatch):
    train, validation, test, vocab = small
    unreadable = torch.full_like(test, 10_000)
    monkeypatch.setattr(
        experiments, "parts", lambda: (train, validation, unreadable, vocab)
    )
    for result in (trained(), experiments.counts("Kneser-Ney", 3)):
        assert "test" not in result
        assert list(result["scores"]) == ["validation"]
    for key, (function, options) in experiments.JOBS["lab_a_search"].items():
        assert not options.get("test"), key
        assert function in (experiments.network, experiments.scales)
    assert all(options["test"] for _, options in experiments.JOBS["lab_a"].values())


def test_a_seed_fixes_a_run(small):
    def scores(seed):
        return experiments.network(seed=seed, **SMALL)["scores"]

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)


def untrained(folds=2):
    torch.manual_seed(0)
    train, *_, vocab = experiments.parts()
    model = experiments.build(train, len(vocab), 8, 3, folds, 0.5, 0.1)
    with torch.no_grad():
        model.tables.normal_(std=0.3)
    return model, torch.full_like(model.tables, 0.1)


def test_fixed_scores_are_those_of_evaluate(small):
    model, _ = untrained()
    text = small[1][:90]
    logs = experiments.log_probabilities(model, text, chunk=7)
    assert logs.dtype == F64
    assert -logs.mean().item() == pytest.approx(evaluate(model, text), 1e-5)


def test_learning_on_leaves_the_model_and_its_sums_as_they_are(small):
    model, sums = untrained()
    before = copy.deepcopy(model.state_dict())
    experiments.log_probabilities(
        model, small[1][:90], rate=0.1, table_rate=0.3, sums=sums
    )
    assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert sums.eq(0.1).all()


@pytest.mark.parametrize("rates", [(0.1, 0.0), (0.0, 0.3), (0.1, 0.3)])
def test_each_chunk_is_scored_before_it_is_learned_from(small, rates):
    model, sums = untrained()
    text = small[1][:90]
    rate, table_rate = rates

    def scores(ids):
        return experiments.log_probabilities(
            model, ids, rate=rate, table_rate=table_rate, sums=sums
        )

    static = experiments.log_probabilities(model, text)
    dynamic = scores(text)
    assert dynamic[:20].equal(static[:20])
    assert not dynamic[20:].isclose(static[20:]).all()
    other = text.clone()
    other[41:] = text[41:].flip(0)
    assert scores(other)[:40].equal(dynamic[:40])


# Counts and mixtures


def test_counts_are_those_of_the_companion(small):
    train, validation, test, vocab = small
    for kind, model in (("Kneser-Ney", KneserNey), ("Witten-Bell", WittenBell)):
        found = experiments.counts(kind, 3, test=True)
        for part, text in (("validation", validation), ("test", test)):
            for way, learn in (("static", False), ("dynamic", True)):
                p = model(train, 3, len(vocab)).probabilities(text, learn=learn)
                assert found[part][way] == pytest.approx((1 / p).log().mean().exp())
    scale = experiments.counts("Witten-Bell", 3, 4.0)["validation"]["static"]
    assert experiments.scales(3, (1.0, 4.0))["validation"]["4.0"] == scale


def test_a_mixture_is_a_mean_of_probabilities():
    p, q = torch.rand(2, 50, dtype=F64, generator=torch.Generator().manual_seed(0))
    found = experiments.mix([p.log(), q.log()], [0.3, 0.7])
    assert_close(found.exp(), 0.3 * p + 0.7 * q)


def test_the_weight_is_chosen_on_the_validation_text():
    generator = torch.Generator().manual_seed(0)
    a, b = (
        {
            part: torch.rand(200, dtype=F64, generator=generator).log()
            for part in experiments.PARTS
        }
        for _ in "ab"
    )
    found = experiments.mixed(a, b)
    tried = {
        w / 20: (1 / (w / 20 * a[k].exp() + (1 - w / 20) * b[k].exp())).log().mean()
        for k in ("validation",)
        for w in range(1, 20)
    }
    assert found["weight"] == min(tried, key=tried.get)
    assert found["validation"] == pytest.approx(min(tried.values()).exp())
    worse = {"validation": b["validation"], "test": 9 * b["test"]}
    assert experiments.mixed(a, worse)["weight"] == found["weight"]


# The records


def test_the_record_is_of_these_jobs_and_this_text():
    record = datasets.record("lab_a")
    assert list(record["results"]) == list(experiments.JOBS["lab_a"])
    assert "scores" not in str(record["results"]["direct 0"].keys())
    for experiment in ("lab_a", "lab_a_search"):
        origin = datasets.record(experiment)["provenance"]
        assert (
            origin["sha256 of timemachine.txt"] == datasets.CHECKSUMS["timemachine.txt"]
        )
        assert origin["threads per job"] == 1


def test_the_search_saw_no_test_text():
    record = datasets.record("lab_a_search")
    assert list(record["results"]) == list(experiments.JOBS["lab_a_search"])
    assert all("test" not in result for result in record["results"].values())


@pytest.mark.skipif(datasets.origin()[0] != "real", reason="records are of the book")
def test_counts_of_the_record_are_counted_again():
    train, validation, _, vocab = experiments.parts()
    results = datasets.record("lab_a")["results"]
    for order in (3, 5):
        p = KneserNey(train, order, len(vocab)).probabilities(validation)
        found = results[f"Kneser-Ney {order}"]["validation"]["static"]
        assert found == pytest.approx(math.exp(-p.log().mean()), abs=2e-6)
