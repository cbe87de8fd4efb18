"""The classic experiment on names in small, and a part of its record."""

import json
import math

import pytest
import torch

from companion import datasets, records
from companion.experiments import names as experiments
from companion.laboratory.surnames import encode
from companion.names import fold
from companion.support import files

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


@pytest.fixture(scope="module")
def published():
    return experiments.published_rows()


# Data


@pytest.mark.usefixtures("_real_data")
def test_the_published_rows(published):
    rows, labels = published
    assert len(rows) == len(labels) == 20_070
    assert len(set(zip(rows, labels, strict=True))) == 20_070 - 2_085
    assert all(name == fold(name).rstrip() for name in rows[::50])


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


# The runs


@pytest.mark.parametrize("kind", ["RNN", "newest state", "GRU"])
def test_a_classic_run_in_small(kind, published, monkeypatch):
    monkeypatch.setattr(experiments, "published_rows", lambda: published)
    size = 60.5 / len(published[0])
    result = experiments.classic_names(kind, seed=0, epochs=2, size=size)
    json.dumps(result)
    assert result["train"] + result["test"] == pytest.approx(60, abs=3)
    groups = result["groups"].values()
    assert sum(group["count"] for group in groups) == result["test"]
    right = sum(g["count"] * (g["accuracy"] or 0) for g in groups)
    assert right / result["test"] == pytest.approx(result["accuracy"])
    diagonal = sum(row[k] for k, row in enumerate(result["confusion"]))
    assert diagonal / result["test"] == pytest.approx(result["accuracy"])
    assert len(result["mean losses"]) == 2
    assert result["typed"].keys() == set(experiments.TYPED)
    assert ("moved by the initial state" in result) == (kind != "GRU")
    again = experiments.classic_names(kind, seed=0, epochs=2, size=size)
    assert again == result


def test_the_repaired_network_reads_its_newest_state_and_nothing_else():
    model = experiments.NewestState(59, 4, K)
    h = model.begin_state()
    x = encode("Ito")
    state = h
    for x_t in x:
        state = torch.sigmoid(model.hidden(torch.cat((x_t, state), dim=1)))
    torch.testing.assert_close(model(x, h), model.output(state))
    assert model.output.weight.shape == (K, 4)
    assert not torch.equal(model(x), model(x))  # the random first state stays


# A part of each record


def test_two_processes_had_the_losses_of_one():
    results = recorded("lab_d_output")["results"]
    one, two = (results[f"processes {count}"]["nats"] for count in (1, 2))
    assert len(one) == 3
    assert one == pytest.approx(two, abs=2e-3)


def recorded(name):
    file = files.BUNDLED / "records" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"there is no record {name} yet")
    return records.load(name)


def test_the_classic_runs_are_near_the_published_accuracies():
    results = recorded("names")["results"]
    for kind, published in (("RNN", 0.722471), ("GRU", 0.814150)):
        found = torch.tensor(
            [r["accuracy"] for key, r in results.items() if f"classic {kind}" in key]
        )
        assert len(found) >= 3
        assert abs(found.mean() - published) < max(0.03, 3 * found.std())
