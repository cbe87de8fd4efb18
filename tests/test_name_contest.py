"""Laboratory D: its parts, its measures, what it freezes, and its records."""

import json
from collections import Counter

import pytest
import torch
from sklearn.metrics import f1_score

from companion import datasets, records
from companion.experiments import name_contest as contest
from companion.experiments import name_parts as parts
from companion.experiments import name_search as search
from companion.laboratory.surnames import distinct, mend_rows
from companion.names import split
from companion.support import files

F64 = torch.float64
K = 18


@pytest.fixture(autouse=True)
def _keep_the_generator():
    with torch.random.fork_rng():
        yield


@pytest.fixture(scope="module")
def both_sides():
    return parts.contest_parts()


@pytest.fixture(scope="module")
def small(both_sides):
    """A few names of every language, to train with and to ask about."""
    train = both_sides["train"]
    some = parts.take(train, range(0, len(train[0]), max(1, len(train[0]) // 500)))
    return parts.inner_parts(some, 0)


# Parts and measures


def test_the_fresh_names_were_in_no_part_of_old(both_sides):
    found = both_sides
    rows = distinct(mend_rows(datasets.names())[0])
    both = [*zip(*found["train"], strict=True), *zip(*found["test"], strict=True)]
    assert Counter(both) == Counter(zip(*rows, strict=True))
    fresh = set(found["test"][0])
    assert not fresh & set(found["train"][0])
    rest, test = split(*rows, test_size=0.2, seed=0)
    old = {rows[0][i] for i in test}
    inside = parts.take(rows, rest)
    for seed in range(5):
        places = split(*inside, test_size=0.125, seed=seed)[1]
        old |= {inside[0][i] for i in places}
    assert old == parts.looked_at(rows)
    assert not fresh & old
    assert 0.15 < len(found["test"][0]) / len(rows[0]) < 0.21
    assert set(found["test"][1]) == set(range(K))


def test_the_folds_deal_the_names_out(both_sides):
    train = both_sides["train"]
    folds = [parts.inner_parts(train, fold) for fold in range(parts.FOLDS)]
    held = [set(fold["test"][0]) for fold in folds]
    assert sum(map(len, held)) == len(set().union(*held)) == len(set(train[0]))
    for fold in folds:
        assert not set(fold["train"][0]) & set(fold["test"][0])
        assert len(fold["train"][0]) + len(fold["test"][0]) == len(train[0])


def test_scores_and_calibration_by_hand():
    labels = [0] * 9 + [1]
    found = parts.scores(labels, torch.tensor([[0.75, 0.25]] * 10).log())
    assert found["accuracy"] == pytest.approx(0.9)
    assert found["macro F1"] == pytest.approx(0.9 / 1.9)
    assert found["ECE"] == pytest.approx(0.15, abs=1e-6)
    assert parts.value(found) == found["accuracy"] + found["macro F1"]
    logs = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]]).log()
    error, table = parts.calibration(torch.tensor([0, 0, 0, 1]), logs)
    assert error == pytest.approx(0.4)
    assert [row[0] for row in table] == [2, 2]


def test_an_adjustment_takes_the_frequencies_off():
    logs = torch.randn(6, 3, dtype=F64).log_softmax(1)
    labels = [0, 0, 0, 1, 1, 2]
    torch.testing.assert_close(parts.adjust(logs, labels, 0.0), logs)
    shares = torch.tensor([3, 2, 1], dtype=F64) / 6
    even = parts.adjust(shares.log().expand(4, 3), labels, 1.0)
    torch.testing.assert_close(even.exp(), torch.full((4, 3), 1 / 3, dtype=F64))
    half = parts.adjust(logs, labels, 0.5).exp()
    expected = logs.exp() / shares.sqrt()
    torch.testing.assert_close(half, expected / expected.sum(1, keepdim=True))


def test_tau_is_the_best_over_all_folds_together():
    generator = torch.Generator().manual_seed(0)
    inside, folds = [0] * 300 + [1, 2] * 10, []
    for size in (40, 60):
        truth = torch.randint(3, (size,), generator=generator)
        logs = torch.randn(size, 3, generator=generator, dtype=F64)
        logs[:, 0] += 2.0
        logs[torch.arange(size), truth] += 2.0
        folds.append((inside, truth.tolist(), logs.log_softmax(1)))
    tau, found = parts.best_tau(folds)
    assert tau > 0
    truth = [k for _, labels, _ in folds for k in labels]
    value = {}
    for t in parts.TAUS:
        logs = [parts.adjust(log, inside, t).argmax(1) for *_, log in folds]
        guess = torch.cat(logs)
        right = (guess == torch.tensor(truth)).double().mean().item()
        value[t] = right + f1_score(truth, guess, average="macro")
    assert parts.value(found["adjusted"]) == pytest.approx(max(value.values()))
    assert value[tau] == max(value.values())


# The records


def recorded(name):
    file = files.BUNDLED / "records" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"there is no record {name} yet")
    return records.load(name)


def test_what_is_frozen_is_the_best_of_the_second_stage():
    folds = recorded("lab_d_folds")
    chosen = folds["frozen"]["chosen"]
    for side in contest.SIDES:
        best = [x["settings"] for x in contest.ranked(side)[: contest.FINALISTS]]
        assert chosen[side]["settings"] in best
    best = folds["frozen"]["best"]
    for name, sides in (
        ("network", search.NETWORKS),
        ("n-grams", ("regression", *search.OTHERS)),
    ):
        value = {side: chosen[side]["value"] for side in sides}
        assert value[best[name]] == max(value.values())


def test_the_rows_are_of_the_test_part_and_their_scores_of_their_answers(both_sides):
    record = recorded("lab_d")
    truth = [contest.LETTERS.index(letter) for letter in record["test"]]
    if datasets.origin()[0] == "real":
        assert truth == both_sides["test"][1]
    for row in record["rows"].values():
        for way in ("plain", "adjusted"):
            guess = [contest.LETTERS.index(x) for x in row[way]["answers"]]
            macro = f1_score(truth, guess, average="macro", zero_division=0.0)
            right = sum(a == b for a, b in zip(truth, guess, strict=True))
            assert row[way]["macro F1"] == pytest.approx(macro, abs=1e-5)
            assert row[way]["accuracy"] == pytest.approx(right / len(truth), abs=1e-5)
        assert sum(count for count, *_ in row["reliability"]) == len(truth)


def test_frozen_and_summary_in_small(monkeypatch, small):
    """Both ends of the contest on made-up predictions: no side is fitted."""
    inner = small["train"]
    monkeypatch.setattr(contest, "contest_parts", lambda: small)
    monkeypatch.setattr(contest, "SEEDS", range(2))
    generator = torch.Generator().manual_seed(0)

    def made_up(labels, power):
        logs = torch.randn(len(labels), K, generator=generator, dtype=F64)
        logs[torch.arange(len(labels)), torch.tensor(labels)] += power
        return {"settings": {"power": power}, "logs": logs.log_softmax(1).tolist()}

    results = {}
    for key in contest.JOBS["lab_d_folds"]:
        fold = int(key[-1])
        power = 1.0 + ("place 1" in key) + 2 * ("SVM" in key or "states, pie" in key)
        labels = parts.inner_parts(inner, fold)["test"][1]
        results[key] = made_up(labels, power)
    found = json.loads(json.dumps(contest.frozen(results)))["frozen"]
    assert found["chosen"]["RNN"]["settings"] == {"power": 2.0}
    assert found["best"]["n-grams"] == "SVM"
    assert found["chosen"]["SVM"]["scale"] >= 1
    assert 0 <= found["chosen"]["two n-grams"]["weight"] <= 1
    assert not any("logs" in result for result in results.values())
    monkeypatch.setattr(records, "load", lambda name: {"frozen": found})
    results = {
        key: made_up(small["test"][1], 3.0)
        for key in contest.JOBS["lab_d"]
        if key[-1] in "01"
    }
    monkeypatch.setattr(contest, "by_nats", lambda: {"tau": 0.2})
    table = json.loads(json.dumps(contest.summary(results)))
    assert len(table["nats"]) == len(contest.PAIRS)
    error = table["nats"]["GRU - regression"][1]
    assert 0.01 < error < 1
    assert len(table["test"]) == len(small["test"][1])
    mixed = {key for key in table["rows"] if key not in results}
    assert mixed == {"two n-grams 0", "network and n-grams 0", "network and n-grams 1"}
    assert table["rows"]["GRU 0"]["plain"] != table["rows"]["GRU 1"]["plain"]
