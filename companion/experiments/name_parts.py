"""Laboratory D: the parts of the names, and the measures of the contest.

The old page scored one test part and five validation parts again and again while its
models were made. The fresh test part is drawn from the names that were in none of them.
"""

import random
from collections import Counter

import torch
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn import functional as F

from companion import datasets
from companion.laboratory.surnames import distinct, mend_rows
from companion.names import split

Part = tuple[list[str], list[int]]

FOLDS = 3
TAUS = tuple(i / 10 for i in range(11))
MEASURES = ("accuracy", "macro F1", "nats")


def take(part: Part, places) -> Part:
    return [part[0][i] for i in places], [part[1][i] for i in places]


def looked_at(rows: Part) -> set[str]:
    """Return the names of the test part and the five validation parts of old."""
    rest, test = split(*rows, test_size=0.2, seed=0)
    names = {rows[0][i] for i in test}
    inside = take(rows, rest)
    for seed in range(5):
        _, validation = split(*inside, test_size=0.125, seed=seed)
        names |= {inside[0][i] for i in validation}
    return names


def strata(rows: Part) -> dict[str, int]:
    """Map each name to its label; of several labels, to the rarest."""
    frequency, found = Counter(rows[1]), {}
    for name, label in zip(*rows, strict=True):
        old = found.get(name, label)
        found[name] = min(old, label, key=lambda k: (frequency[k], k))
    return found


def contest_parts(share: float = 0.2, seed: int = 2026) -> dict[str, Part]:
    """Split the distinct rows into training and a test part no comparison has scored.

    A fifth of the names of each label is drawn from those that were not looked at, or
    all of these where they are fewer. No name is in both parts.
    """
    rows = distinct(mend_rows(datasets.names())[0])
    labels, old = strata(rows), looked_at(rows)
    fresh, rng = set(), random.Random(seed)
    for label in sorted(set(labels.values())):
        group = sorted(name for name in labels if labels[name] == label)
        open_names = [name for name in group if name not in old]
        fresh |= set(
            rng.sample(open_names, min(len(open_names), round(share * len(group))))
        )
    inside = [name in fresh for name in rows[0]]
    return {
        "train": take(rows, [i for i, held in enumerate(inside) if not held]),
        "test": take(rows, [i for i, held in enumerate(inside) if held]),
    }


def inner_parts(train: Part, fold: int) -> dict[str, Part]:
    """Hold out one of three folds of the training names, stratified by label."""
    labels = strata(train)
    names = sorted(labels)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    parts = list(folds.split(names, [labels[name] for name in names]))
    out = {names[i] for i in parts[fold][1]}
    held = [name in out for name in train[0]]
    return {
        "train": take(train, [i for i, h in enumerate(held) if not h]),
        "test": take(train, [i for i, h in enumerate(held) if h]),
    }


def adjust(logs: Tensor, labels: list[int], tau: float) -> Tensor:
    """Take ``tau * ln(share)`` of each class in training off the log-probabilities."""
    counts = torch.bincount(torch.tensor(labels), minlength=logs.shape[1])
    return (logs - tau * (counts / counts.sum()).log()).log_softmax(1)


def binned(confidence: Tensor, right: Tensor, bins: int = 10) -> list[list]:
    """Return ``[count, mean confidence, share right]`` of each bin that is not empty.

    The bins have equal width.
    """
    places = (confidence * bins).long().clamp(max=bins - 1)
    table = []
    for place in places.unique().tolist():
        there = places == place
        p, q = confidence[there].double().mean(), right[there].mean()
        table.append([int(there.sum()), p.item(), q.item()])
    return table


def calibration(truth: Tensor, logs: Tensor, bins: int = 10) -> tuple[float, list]:
    """Return the expected calibration error, and the table of :func:`binned`."""
    confidence, guess = logs.exp().max(1)
    table = binned(confidence, (guess == truth).double(), bins)
    gaps = sum(count * abs(p - q) for count, p, q in table)
    return gaps / len(truth), table


def scores(labels: list[int], logs: Tensor) -> dict:
    """Measure predictions: accuracy, macro F1, nats, calibration error."""
    truth, logs = torch.tensor(labels), logs.double()
    guess = logs.argmax(1)
    return {
        "accuracy": accuracy_score(truth, guess),
        "macro F1": f1_score(truth, guess, average="macro", zero_division=0.0),
        "nats": F.nll_loss(logs, truth).item(),
        "ECE": calibration(truth, logs)[0],
    }


def value(found: dict) -> float:
    """The rule by which settings are chosen: accuracy + macro F1."""
    return found["accuracy"] + found["macro F1"]


def best_tau(folds: list[tuple[list[int], list[int], Tensor]]) -> tuple[float, dict]:
    """Choose the adjustment on held-out folds: (training labels, labels, logs) each."""
    labels = [k for _, truth, _ in folds for k in truth]
    table = {}
    for tau in TAUS:
        logs = [adjust(log, inside, tau) for inside, _, log in folds]
        table[tau] = scores(labels, torch.cat(logs))
    tau = max(table, key=lambda tau: value(table[tau]))
    return tau, {"plain": table[0.0], "adjusted": table[tau]}
