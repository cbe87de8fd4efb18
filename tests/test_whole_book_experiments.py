"""The runs on the whole book in small, their mixtures, and a part of each record."""

import copy
import json
import math

import pytest
import torch

from companion import datasets, records
from companion.experiments import scoring
from companion.experiments import whole_book as experiments
from companion.laboratory.ngram import WittenBell
from companion.measuring import perplexity
from companion.text import Vocab

F64 = torch.float64
V = 28
LINE = "so it was that the time traveller spoke of all that he saw on his way "
REAL = pytest.mark.skipif(
    datasets.origin()[0] != "real", reason="records are of the book"
)


@pytest.fixture(autouse=True)
def forked():
    with torch.random.fork_rng():
        yield


@pytest.fixture
def small(monkeypatch):
    """Put a text of 5,000 tokens in the place of the book."""
    text = (LINE * 80)[:5000]
    vocab = Vocab(text)
    ids = vocab.encode(text)
    monkeypatch.setattr(scoring, "corpus", lambda: (ids, vocab))
    return scoring.parts()


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


# The runs


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_run_on_the_whole_book_in_small(small, kind):
    result = experiments.recurrent(kind, 8, seed=0, epochs=3, rate=0.02)
    curve = result["curve"]
    assert [point["epoch"] for point in curve] == [1, 2, 3]
    assert curve[-1]["train"] < curve[0]["train"] < 29
    for name in ("weights", "ema"):
        assert result[name]["validation"] == min(point[name] for point in curve)
        assert 1 < result[name]["test"] < 29
    assert curve[0]["weights"] != curve[0]["ema"]


@pytest.mark.parametrize("steps", [5, 10, 20, 40, 50, 80])
def test_minibatches_of_every_length_have_as_many_tokens(small, steps, monkeypatch):
    """Else the learning-rate cycle would end too early, which is an error."""
    fit, sizes = experiments.fit, []

    def watch(model, make_batches, optimiser, epochs, **options):
        for _ in range(50):
            sizes.append([X.numel() for X, _ in make_batches()])
        return fit(model, make_batches, optimiser, epochs, **options)

    monkeypatch.setattr(experiments, "fit", watch)
    experiments.recurrent("RNN", 4, seed=0, steps=steps, epochs=2)
    assert {size for epoch in sizes for size in epoch} == {1600}
    assert max(map(len, sizes)) <= len(small[0]) // 1600 + 1


def test_a_seed_fixes_a_run_on_the_whole_book(small):
    first, same, other = (
        experiments.recurrent("GRU", 4, seed=seed, epochs=1) for seed in (0, 0, 1)
    )
    assert first == same
    assert first != other


def test_the_epoch_is_chosen_on_the_validation_text_and_tested_once(small, monkeypatch):
    _, validation, test, _ = small
    # Perplexities of the weights and of their average, epoch by epoch.
    script, measured, tested = iter([9, 6, 7, 8, 8, 7]), [], []

    def scripted(model, text):
        if text.equal(test):
            tested.append(weights(model))
            return math.log(len(tested))
        assert text.equal(validation)
        measured.append(weights(model))
        return math.log(next(script))

    monkeypatch.setattr(experiments, "evaluate", scripted)
    result = experiments.recurrent("GRU", 4, seed=0, epochs=3)
    approx = pytest.approx
    assert result["weights"] == {"validation": approx(7), "test": approx(1)}
    assert result["ema"] == {"validation": approx(6), "test": approx(2)}
    assert len(measured) == 6
    # The weights of epoch 2, the average after epoch 1.
    torch.testing.assert_close(tested, [measured[2], measured[1]], rtol=0, atol=0)


def test_the_scores_of_a_run_are_those_of_its_averaged_weights(small):
    result = experiments.recurrent("GRU", 4, seed=0, epochs=2, scores=True)
    _, validation, test, _ = small
    for part, text in (("validation", validation), ("test", test)):
        scores = result["scores"][part]
        assert len(scores["static"]) == len(scores["dynamic"]) == len(text) - 1
        static, dynamic = (torch.tensor(s, dtype=F64) for s in scores.values())
        assert perplexity(-static.mean()) == pytest.approx(result["ema"][part], 1e-5)
        assert static[:20].equal(dynamic[:20])
        assert dynamic.mean() > static.mean()
    json.dumps(result)


def test_the_table_of_ngrams_in_small(small):
    train, validation, test, vocab = small
    table = experiments.ngrams(range(1, 4))
    assert list(table) == ["1", "2", "3"]
    for order, row in table.items():
        model = WittenBell(train, int(order), len(vocab))
        for part, text in (("validation", validation), ("test", test)):
            inverse = 1 / model.probabilities(text)
            mean = inverse.log().mean().exp().item()
            assert row[part] == pytest.approx(mean)


# Mixtures


@pytest.fixture
def runs(monkeypatch):
    """Return two made-up runs with the scores of every token, and a text without order.

    They are never far off on the test text, but often are on the validation text,
    so that there the 5-gram, which knows next to nothing, is worth its weight.
    """
    vocab = Vocab("abcdefghijklmnopqrstuvwxyz ")
    ids = torch.randint(1, V, (2000,), generator=torch.Generator().manual_seed(9))
    monkeypatch.setattr(scoring, "corpus", lambda: (ids, vocab))
    runs = {}
    for seed in (0, 1):
        scores, generator = {}, torch.Generator().manual_seed(seed)
        for name, power in (("validation", 9), ("test", 1)):
            draws = torch.rand(2, 199, generator=generator, dtype=F64)
            static, dynamic = (power * (0.05 + 0.9 * draws).log()).tolist()
            scores[name] = {"static": static, "dynamic": dynamic}
        runs[f"LSTM 512 {seed}"] = {"curve": [], "scores": scores}
    return runs, ids


def test_mixtures_are_means_of_probabilities(runs):
    results, ids = runs
    train, validation, test = scoring.split(ids)
    parts = {"validation": validation, "test": test}
    counts = WittenBell(train, 5, V)
    p = {
        (way, name, seed): torch.tensor(
            results[f"LSTM 512 {seed}"]["scores"][name][way], dtype=F64
        ).exp()
        for way in ("static", "dynamic")
        for name in parts
        for seed in (0, 1)
    }
    ngram = {name: counts.probabilities(part) for name, part in parts.items()}

    def score(probabilities):
        return (1 / probabilities).log().mean().exp().item()

    table = experiments.combinations(results)
    for way in ("static", "dynamic"):
        row, choices = table[way], [w / 20 for w in range(1, 20)]
        for name in parts:
            alone = [p[way, name, seed] for seed in (0, 1)]
            together = (alone[0] + alone[1]) / 2
            w = row["weight together"]
            expected = {
                "alone": [score(a) for a in alone],
                "with 5-gram": [
                    score(v * a + (1 - v) * ngram[name])
                    for a, v in zip(alone, row["weights"], strict=True)
                ],
                "together": score(together),
                "together with 5-gram": score(w * together + (1 - w) * ngram[name]),
            }
            assert row[name].keys() == expected.keys()
            for key, value in expected.items():
                assert row[name][key] == pytest.approx(value), (way, name, key)
        # The weights are the best on the validation text, whatever the test text says.
        a = p[way, "validation", 1]
        best = min(choices, key=lambda w: score(w * a + (1 - w) * ngram["validation"]))
        assert row["weights"][1] == best < 0.95
        a = (a + p[way, "validation", 0]) / 2
        best = min(choices, key=lambda w: score(w * a + (1 - w) * ngram["validation"]))
        assert row["weight together"] == best < 0.95


def test_the_weights_of_mixtures_do_not_depend_on_the_test_text(runs):
    results, _ = runs
    other = copy.deepcopy(results)
    for run in other.values():
        for way, scores in run["scores"]["test"].items():
            run["scores"]["test"][way] = [20 * score for score in scores]
    one, two = map(experiments.combinations, (results, other))
    for way in ("static", "dynamic"):
        for choice in ("weights", "weight together", "validation"):
            assert one[way][choice] == two[way][choice]
        assert one[way]["test"] != two[way]["test"]


def test_the_summary_has_the_mixtures_in_place_of_the_scores(runs):
    results, _ = runs
    expected = experiments.combinations(copy.deepcopy(results))
    results["n-grams"] = {"1": {"test": 16.5}}
    assert experiments.summary(results) == {"combinations": expected}
    assert results.pop("n-grams") == {"1": {"test": 16.5}}
    assert list(results.values()) == [{"curve": []}] * 2


# A part of each record


@REAL
def test_the_ngrams_of_the_record_can_be_computed_again():
    table = records.load("whole_book")["results"]["n-grams"]
    for order, row in experiments.ngrams((2, 5)).items():
        assert row == pytest.approx(table[order], rel=0, abs=1e-5)


@REAL
def test_a_run_of_the_truncation_record_begins_like_this_one(monkeypatch):
    results, fit = records.load("truncation")["results"], experiments.fit

    def one_epoch(model, make_batches, optimiser, epochs, **options):
        return fit(model, make_batches, optimiser, 1, **options)

    # The learning-rate cycle is planned for all epochs; only the first is run.
    monkeypatch.setattr(experiments, "fit", one_epoch)
    key, (function, options) = next(
        (key, job)
        for key, job in experiments.JOBS["truncation"].items()
        if job[1]["steps"] == 80 and job[1]["seed"] == 0
    )
    (point,) = function(**options)["curve"]
    kept = results[key]["curve"][0]
    assert point == pytest.approx(kept, rel=1e-3)
