"""The experiments of laboratory A in small, and their records."""

import math

import pytest
import torch
from torch.testing import assert_close

from companion import datasets, records
from companion.experiments import counts as experiments
from companion.experiments import direct_networks, scoring
from companion.laboratory.kneser_ney import KneserNey
from companion.laboratory.ngram import WittenBell
from companion.text import Vocab

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
    monkeypatch.setattr(scoring, "corpus", lambda: (ids, vocab))
    return scoring.parts()


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
    window = direct_networks.Window(4, 5, 3)
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
    *read, test, vocab = small
    ids = torch.cat([*read, torch.full_like(test, 10_000)])
    monkeypatch.setattr(scoring, "corpus", lambda: (ids, vocab))
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


# Counts


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


# The records


def test_the_search_saw_no_test_text():
    results = records.load("lab_a_search")["results"]
    assert all("test" not in result for result in results.values())


@pytest.mark.parametrize("name", ["lab_a", "lab_a_search"])
def test_the_scores_of_single_tokens_are_not_kept(name):
    results = records.load(name)["results"]
    assert not any("scores" in result for result in results.values())
    made_up = {"a": {"scores": [1], "validation": 2}, "b": {"validation": 3}}
    assert experiments.without_scores(made_up) == {}
    assert made_up == {"a": {"validation": 2}, "b": {"validation": 3}}


@pytest.mark.skipif(datasets.origin()[0] != "real", reason="records are of the book")
def test_counts_of_the_record_are_counted_again():
    train, validation, _, vocab = scoring.parts()
    results = records.load("lab_a")["results"]
    for order in (3, 5):
        p = KneserNey(train, order, len(vocab)).probabilities(validation)
        found = results[f"Kneser-Ney {order}"]["validation"]["static"]
        assert found == pytest.approx(math.exp(-p.log().mean()), abs=2e-6)
