"""The long experiments of chapter 8 in small, and a part of each record."""

import json
import math

import name_experiments as experiments  # pytest puts the folder of a test on the path
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from companion import datasets
from companion.classifier import log_probabilities
from companion.names import fold, ids, pad

F64 = torch.float64
K = 18


@pytest.fixture(autouse=True)
def _keep_the_generator():
    with torch.random.fork_rng():
        yield


@pytest.fixture
def _real_data():
    if datasets.origin()[0] != "real":
        pytest.skip("the records are of the real data, and this is the sample")


def shrink(parts, share):
    """Keep every so-manieth row."""
    return {
        name: ([*names[::share]], [*labels[::share]])
        for name, (names, labels) in parts.items()
    }


@pytest.fixture
def small(monkeypatch):
    """Let the experiments see a part of the names."""
    monkeypatch.setattr(experiments, "DRAWS", 3)
    whole = {seed: experiments.name_parts(seed) for seed in (0, 1)}
    share = max(1, len(whole[0]["train"][0]) // 400)
    parts = {seed: shrink(part, share) for seed, part in whole.items()}
    monkeypatch.setattr(experiments, "name_parts", lambda seed: parts[seed % 2])
    return parts


# Data


@pytest.mark.usefixtures("_real_data")
def test_the_published_rows():
    rows, labels = experiments.published_rows()
    assert len(rows) == len(labels) == 20_070
    assert len(set(zip(rows, labels, strict=True))) == 20_070 - 2_085
    assert all(name == fold(name).rstrip() for name in rows[::50])


def test_the_parts_share_no_name_and_the_test_part_is_always_the_same():
    first, second = (experiments.name_parts(seed) for seed in (0, 1))
    assert first["test"] == second["test"]
    assert first["validation"] != second["validation"]
    for parts in (first, second):
        names = [set(part[0]) for part in parts.values()]
        assert not names[0] & names[1]
        assert not (names[0] | names[1]) & names[2]
        sizes = [len(part[0]) for part in parts.values()]
        total = sum(sizes)
        for size, share in zip(sizes, (0.7, 0.1, 0.2), strict=True):
            assert abs(size / total - share) < 0.02


# Measures


def test_reliability_by_hand():
    confidence = torch.tensor([0.05, 0.62, 0.69, 1.0, 0.95])
    correct = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0])
    first, second, third = experiments.reliability(correct, confidence)
    assert first == pytest.approx({"count": 1, "confidence": 0.05, "accuracy": 0.0})
    assert second == pytest.approx({"count": 2, "confidence": 0.655, "accuracy": 0.5})
    assert third == pytest.approx({"count": 2, "confidence": 0.975, "accuracy": 1.0})


def test_scores_by_hand():
    """The ten names of the chapter: nine Russian, one Greek, always Russian."""
    labels = torch.tensor([0] * 9 + [1])
    logs = torch.tensor([[0.75, 0.25]] * 10).log()
    found = experiments.scores(labels, logs)
    assert found["accuracy"] == pytest.approx(0.9)
    assert found["macro recall"] == pytest.approx(0.5)
    assert found["macro F1"] == pytest.approx(0.9 / 1.9)
    expected = -(9 * math.log(0.75) + math.log(0.25)) / 10
    assert found["nats"] == pytest.approx(expected, rel=1e-6)


def test_an_adjustment_takes_the_frequencies_off():
    logs = torch.randn(6, 3, dtype=F64).log_softmax(1)
    labels = [0, 0, 0, 1, 1, 2]
    torch.testing.assert_close(experiments.adjust(logs, labels, 0.0), logs)
    shares = torch.tensor([3, 2, 1], dtype=F64) / 6
    # A model that knows nothing but the frequencies knows nothing without them.
    even = experiments.adjust(shares.log().expand(4, 3), labels, 1.0)
    torch.testing.assert_close(even.exp(), torch.full((4, 3), 1 / 3, dtype=F64))
    half = experiments.adjust(logs, labels, 0.5).exp()
    expected = logs.exp() / shares.sqrt()
    torch.testing.assert_close(half, expected / expected.sum(1, keepdim=True))


def made_up(parts, seed, power=4.0):
    """Return log-probabilities that often favour the truth, and common classes."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.bincount(torch.tensor(parts["train"][1]), minlength=K) + 1.0
    logs = {}
    for name in ("validation", "test"):
        labels = torch.tensor(parts[name][1])
        scores = torch.randn(len(labels), K, generator=generator, dtype=F64)
        scores += common.log()
        scores[torch.arange(len(labels)), labels] += power
        logs[name] = scores.log_softmax(1)
    return logs


def test_tau_is_the_best_on_the_validation_part_and_deaf_to_the_test(small):
    # One class by far the most frequent in training: an adjustment must pay.
    names, labels = small[0]["train"]
    parts = small[0] | {"train": (names + ["x"] * 3000, labels + [0] * 3000)}
    logs = made_up(parts, 0)
    found = experiments.report(parts, logs)
    assert found["tau"] > 0
    truth = torch.tensor(parts["validation"][1])
    value = {}
    for tau in experiments.TAUS:
        guess = experiments.adjust(logs["validation"], parts["train"][1], tau).argmax(1)
        macro = f1_score(truth, guess, average="macro", zero_division=0.0)
        value[tau] = (guess == truth).double().mean().item() + macro
    assert value[found["tau"]] == pytest.approx(max(value.values()))
    other = experiments.report(parts, logs | {"test": -logs["test"].log_softmax(1)})
    assert other["tau"] == found["tau"]
    assert other["validation"] == found["validation"]
    assert other["test"] != found["test"]
    assert sum(b["count"] for b in found["reliability"]) == len(parts["test"][1])


def test_equal_predictions_differ_by_nothing(monkeypatch):
    monkeypatch.setattr(experiments, "DRAWS", 20)
    truth = torch.arange(20) % 3
    guess = [truth.roll(1), truth]
    found = experiments.intervals(truth, guess, guess)
    assert found == {"accuracy": [0.0, 0.0], "macro F1": [0.0, 0.0]}
    low, high = experiments.intervals(truth, [truth], [truth.roll(1)])["accuracy"]
    assert low == high == 1.0


# The runs


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
def test_a_classic_run_in_small(kind):
    rows = len(experiments.published_rows()[0])
    result = experiments.classic_names(kind, seed=0, epochs=2, size=150 / rows)
    json.dumps(result)
    assert result["train"] + result["test"] == pytest.approx(150, abs=3)
    groups = result["groups"].values()
    assert sum(group["count"] for group in groups) == result["test"]
    right = sum(g["count"] * (g["accuracy"] or 0) for g in groups)
    assert right / result["test"] == pytest.approx(result["accuracy"])
    diagonal = sum(row[k] for k, row in enumerate(result["confusion"]))
    assert diagonal / result["test"] == pytest.approx(result["accuracy"])
    assert len(result["mean losses"]) == 2
    assert result["typed"].keys() == set(experiments.TYPED)
    assert ("moved by the initial state" in result) == (kind == "RNN")
    again = experiments.classic_names(kind, seed=0, epochs=2, size=150 / rows)
    assert again == result


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {}),
        ("GRU", {"joint": {}}),
        ("GRU", {"joint": {"direct": 2}}),
        ("GRU", {"joint": {"direct": 2}, "linear": True}),
    ],
)
def test_a_recurrent_run_in_small(small, kind, options):
    options = {"hidden": 8, "epochs": 3, "batch_size": 64, **options}
    result, same, other = (
        experiments.recurrent_names(kind, seed, **options) for seed in (0, 0, 2)
    )
    json.dumps(result)
    assert result["losses"][-1] < result["losses"][0]
    assert len(result["losses"]) == 3
    for name in ("validation", "test"):
        logs = torch.tensor(result["logs"][name])
        assert logs.shape == (len(small[0][name][0]), K)
        torch.testing.assert_close(logs.exp().sum(1), torch.ones(len(logs)))
    assert same == result
    assert other["losses"] != result["losses"]


def test_pieces_alone_are_linear():
    names = ["Abe", "Ito"]
    model = experiments.PiecesAlone(nn.GRU(59, 4, bidirectional=True), K, direct=2)
    nn.init.normal_(model.direct.weight)
    model.eval()
    before = log_probabilities(model, names)
    for parameter in model.layer.parameters():
        nn.init.normal_(parameter)
    torch.testing.assert_close(log_probabilities(model, names), before)
    expected = model.score_pieces(*pad([ids(name) for name in names]))
    expected = (expected + model.output.bias).log_softmax(1)
    torch.testing.assert_close(before, expected)


def test_only_direct_connections_decay(small, monkeypatch):
    seen = []

    class Watched(torch.optim.AdamW):
        def __init__(self, groups, **options):
            super().__init__(groups, **options)
            seen.extend(self.param_groups)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    experiments.recurrent_names(
        "GRU", 0, hidden=4, joint={"direct": 1}, epochs=1, batch_size=64
    )
    direct, rest = seen
    assert [p.shape for p in direct["params"]] == [(61, K)]
    assert direct["weight_decay"] == experiments.DECAY > 0
    assert rest["weight_decay"] == 0
    assert len(rest["params"]) == 8 + 3 * 2


def test_the_searches_see_no_test_part(small):
    for name in ("search_rates", "search_decay"):
        run = experiments.recurrent_names
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                experiments,
                "recurrent_names",
                lambda *a, run=run, **o: run(
                    *a, **(o | {"epochs": 1, "hidden": 4, "batch_size": 256})
                ),
            )
            arguments = ["GRU"] if name == "search_rates" else []
            table = getattr(experiments, name)(*arguments)
        assert len(table) >= 5
        for found in table.values():
            assert found.keys() == {"tau", "validation"}
            assert 0 < found["validation"]["plain"]["nats"] < 4
    table = experiments.search_ngrams()
    assert len(table) == 22
    for found in table.values():
        assert "test" not in found
        assert 0 < found["validation"]["adjusted"]["accuracy"] < 1


def test_differences_are_those_of_the_guesses_plain_and_adjusted(small, monkeypatch):
    kinds = ("n-grams", "GRU", "states, spelling", "all three")
    results, guesses = {}, {}
    for seed in experiments.SEEDS:
        parts = small[seed % 2]
        for number, kind in enumerate(kinds):
            logs = made_up(parts, 10 * seed + number, power=3.0 + number)
            found = {"tau": 0.1 * number + 0.2}
            for way, tau in (("plain", 0.0), ("adjusted", found["tau"])):
                own = experiments.adjust(logs["test"], parts["train"][1], tau)
                guesses.setdefault((way, kind), []).append(own.argmax(1))
            found["logs"] = {name: log.tolist() for name, log in logs.items()}
            results[f"{kind} {seed}"] = found
    results["search decay"] = {"0": {}}
    table = experiments.differences(results)
    assert not any("logs" in result for result in results.values())
    truth = torch.tensor(small[0]["test"][1])
    for way, kind in (("plain", kinds[1]), ("plain", kinds[3]), ("adjusted", kinds[2])):
        expected = experiments.intervals(
            truth, guesses[way, kind], guesses[way, "n-grams"]
        )
        assert table[way][kind] == expected
    assert table["plain"] != table["adjusted"]
    low, high = table["plain"]["all three"]["accuracy"]
    assert 0 < low <= high


# A part of each record


def recorded(name):
    file = experiments.datasets._BUNDLED / "records" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"there is no record {name} yet")
    return datasets.record(name)


@pytest.mark.parametrize("name", ["names", "names_clean"])
def test_a_record_has_the_result_of_every_job(name):
    assert list(recorded(name)["results"]) == list(experiments.JOBS[name])


def test_the_classic_runs_are_near_the_published_accuracies():
    results = recorded("names")["results"]
    for kind, published in (("RNN", 0.722471), ("GRU", 0.814150)):
        found = torch.tensor(
            [r["accuracy"] for key, r in results.items() if f"classic {kind}" in key]
        )
        assert len(found) >= 3
        assert abs(found.mean() - published) < max(0.03, 3 * found.std())


def total(found):
    return sum(found["validation"]["plain"][m] for m in ("accuracy", "macro F1"))


def test_the_settings_of_the_baseline_are_the_best_of_the_search():
    search = recorded("names_clean")["results"]["search n-grams"]
    best = max(search, key=lambda key: total(search[key]))
    chosen = experiments.NGRAMS
    assert best == f"{chosen['longest']}, {chosen['C']:g}, {chosen['class_weight']}"


@pytest.mark.parametrize("kind", experiments.EQUAL)
def test_the_learning_rates_are_the_best_of_the_search(kind):
    search = recorded("names_clean")["results"][f"search {kind}"]
    best = max(search, key=lambda key: total(search[key]))
    assert float(best) == experiments.RATES[kind]
    assert best not in (next(iter(search)), list(search)[-1])  # not at the edge


def test_the_decay_is_the_best_of_the_search():
    search = recorded("names_clean")["results"]["search decay"]
    best = max(search, key=lambda key: total(search[key]))
    assert float(best) == experiments.DECAY
    assert best not in (next(iter(search)), list(search)[-1])


@pytest.mark.usefixtures("_real_data")
def test_the_baseline_of_the_record_can_be_computed_again():
    kept = recorded("names_clean")["results"]["n-grams 0"]
    found = experiments.ngram_names(0)
    assert found["tau"] == kept["tau"]
    for part in ("validation", "test"):
        assert found[part]["plain"] == pytest.approx(kept[part]["plain"], abs=2e-3)


@pytest.mark.usefixtures("_real_data")
@pytest.mark.parametrize("key", ["GRU 0", "states 0", "all three 0"])
def test_a_recurrent_run_of_the_record_begins_like_this_one(monkeypatch, key):
    kept = recorded("names_clean")["results"][key]["losses"][0]
    train, found = experiments.train_epoch, []

    def one_epoch(*arguments, **options):
        # The learning-rate cycle is planned for all epochs; only the first is run.
        if not found:
            found.append(train(*arguments, **options))
        return found[0]

    monkeypatch.setattr(experiments, "train_epoch", one_epoch)
    function, options = experiments.JOBS["names_clean"][key]
    function(**options)
    assert found[0] == pytest.approx(kept, rel=1e-3)
