"""Laboratory D: what is frozen after the search, and the one scoring of the test part.

``lab_d_folds`` ends with the settings of every row, its adjustment for rare classes and
the weights of the mixtures, all chosen on folds 1 and 2. ``lab_d`` fits each row to all
training names and scores the fresh test part.
"""

import math

import torch
from torch import Tensor

from companion import records
from companion.experiments.name_parts import (
    TAUS,
    adjust,
    best_tau,
    calibration,
    contest_parts,
    inner_parts,
    scores,
    value,
)
from companion.experiments.name_search import NETWORKS, OTHERS, logs_of, scaled
from companion.experiments.scoring import mix

FINALISTS = 2
STAGE_TWO = (1, 2)
SIDES = (*NETWORKS, "regression", *OTHERS)
SEEDS = range(5)
WEIGHTS = tuple(i / 10 for i in range(11))
OLD_NGRAMS = {
    "weighting": "tf-idf",
    "order": 3,
    "C": 30.0,
    "marks": True,
    "weight": None,
}
FULL = "states, pieces, spelling"
PAIRS = [
    (FULL, "regression"),
    (FULL, "SVM"),
    (FULL, "two n-grams"),
    (FULL, "old n-grams"),
    ("network and n-grams", "two n-grams"),
    (FULL, "states, pieces"),
    (FULL, "states, spelling"),
    (FULL, "pieces"),
    ("GRU", "regression"),
    ("regression", "old n-grams"),
    (FULL, "regression by nats"),
    ("network and n-grams", "regression by nats"),
]
LETTERS = "abcdefghijklmnopqr"  # one for each class


def ranked(side: str) -> list[dict]:
    """Return what stage one found on one side, the best first."""
    record = records.load("lab_d_search")["results"]
    found = [
        x for key, rows in record.items() if key.split(":")[0] == side for x in rows
    ]
    return sorted(found, key=lambda x: -x["value"])


def finalist(side: str, place: int, fold: int) -> dict:
    """Try one of the best of stage one on another fold; keep what it predicts."""
    settings = ranked(side)[place]["settings"]
    parts = inner_parts(contest_parts()["train"], fold)
    logs = logs_of(parts["train"], parts["test"][0], side, settings)
    return {"settings": settings, "logs": logs.tolist()}


def old_fold(fold: int) -> dict:
    """Fit the n-grams of the old page, with a solver that converges."""
    parts = inner_parts(contest_parts()["train"], fold)
    logs = logs_of(parts["train"], parts["test"][0], "regression", OLD_NGRAMS)
    return {"settings": OLD_NGRAMS, "logs": logs.tolist()}


def judged(held: list[dict], folds: list[Tensor]) -> dict:
    """Choose tau for predictions of folds 1 and 2, and give their value."""
    triples = [
        (p["train"][1], p["test"][1], log) for p, log in zip(held, folds, strict=True)
    ]
    tau, found = best_tau(triples)
    return {"tau": tau, "value": sum(map(value, found.values())), **found}


def frozen(results: dict[str, dict]) -> dict:
    """Choose one setting a side, and the mixtures; take the predictions out."""
    logs = {
        key: torch.tensor(found.pop("logs"), dtype=torch.float64)
        for key, found in results.items()
    }
    train, chosen, kept = contest_parts()["train"], {}, {}
    held = [inner_parts(train, fold) for fold in STAGE_TWO]
    for side in (*SIDES, "old n-grams"):
        for place in range(1 if side == "old n-grams" else FINALISTS):
            key = f"{side}, place {place}, fold"
            folds = [logs[f"{key} {fold}"] for fold in STAGE_TWO]
            truth = [k for part in held for k in part["test"][1]]
            scale, _ = scaled(side, truth, torch.cat(folds))
            folds = [(scale * log).log_softmax(1) for log in folds]
            found = judged(held, folds)
            if side not in chosen or found["value"] > chosen[side]["value"]:
                settings = results[f"{key} {STAGE_TWO[0]}"]["settings"]
                chosen[side] = {"settings": settings, "scale": scale, **found}
                kept[side] = folds
    best = {
        "n-grams": max(("regression", *OTHERS), key=lambda s: chosen[s]["value"]),
        "network": max(NETWORKS, key=lambda s: chosen[s]["value"]),
    }
    kept["two n-grams"] = []
    for name, (first, second) in {
        "two n-grams": ("regression", "SVM"),
        "network and n-grams": (best["network"], "two n-grams"),
    }.items():
        table = {}
        for weight in WEIGHTS:
            pairs = zip(kept[first], kept[second], strict=True)
            table[weight] = [mix(pair, (weight, 1 - weight)) for pair in pairs]
        found = {weight: judged(held, folds) for weight, folds in table.items()}
        weight = max(found, key=lambda w: found[w]["value"])
        chosen[name] = {"weight": weight, "of": [first, second], **found[weight]}
        kept[name] = table[weight]
    return {"frozen": {"best": best, "chosen": chosen, "taus": list(TAUS)}}


def final(side: str, seed: int) -> dict:
    """Fit one row to all training names; predict the fresh test part."""
    chosen = records.load("lab_d_folds")["frozen"]["chosen"][side]
    parts = contest_parts()
    name = "regression" if side == "old n-grams" else side
    logs = logs_of(parts["train"], parts["test"][0], name, chosen["settings"], seed)
    return {"logs": (chosen["scale"] * logs).log_softmax(1).tolist()}


def by_nats() -> dict:
    """Return the regression of stage one with the fewest nats, whatever its value."""
    return min(ranked("regression"), key=lambda found: found["plain"]["nats"])


def final_by_nats() -> dict:
    """Fit that regression to all training names; predict the fresh test part."""
    parts, settings = contest_parts(), by_nats()["settings"]
    logs = logs_of(parts["train"], parts["test"][0], "regression", settings)
    return {"settings": settings, "logs": logs.tolist()}


def row(labels: list[int], inside: list[int], logs: Tensor, tau: float) -> dict:
    """Score predictions of the test part, plain and adjusted, and keep the answers."""
    table = {}
    for way, strength in (("plain", 0.0), ("adjusted", tau)):
        found = adjust(logs, inside, strength)
        table[way] = scores(labels, found) | {
            "answers": "".join(LETTERS[k] for k in found.argmax(1).tolist())
        }
    table["reliability"] = calibration(torch.tensor(labels), logs)[1]
    return table


def nats_apart(truth: Tensor, logs: dict[str, Tensor]) -> dict:
    """Compare plain nats: differences, each with its standard error over the names."""

    def nats(side: str) -> Tensor:
        runs = [log for key, log in logs.items() if key[:-2] == side]
        place = torch.arange(len(truth))
        return -torch.stack([log[place, truth] for log in runs]).mean(0)

    table = {}
    for first, second in PAIRS:
        gaps = nats(first) - nats(second)
        error = gaps.std() / math.sqrt(len(gaps))
        table[f"{first} - {second}"] = [gaps.mean().item(), error.item()]
    return table


def summary(results: dict[str, dict]) -> dict:
    """Score every row and the mixtures; take the predictions out of the results."""
    parts = contest_parts()
    labels, inside = parts["test"][1], parts["train"][1]
    chosen = records.load("lab_d_folds")["frozen"]["chosen"]
    chosen["regression by nats"] = by_nats()
    logs = {
        key: torch.tensor(found.pop("logs"), dtype=torch.float64)
        for key, found in results.items()
    }
    for name in ("two n-grams", "network and n-grams"):
        first, second = chosen[name]["of"]
        for seed in SEEDS:
            one, other = (
                logs.get(f"{side} {seed}", logs.get(f"{side} 0"))
                for side in (first, second)
            )
            if f"{first} {seed}" in logs:
                weight = chosen[name]["weight"]
                logs[f"{name} {seed}"] = mix((one, other), (weight, 1 - weight))
    rows = {
        key: row(labels, inside, log, chosen[key[:-2]]["tau"])
        for key, log in logs.items()
    }
    return {
        "test": "".join(LETTERS[k] for k in labels),
        "nats": nats_apart(torch.tensor(labels), logs),
        "rows": rows,
    }


DATA = "names"
JOBS = {
    "lab_d_folds": {
        f"{side}, place {place}, fold {fold}": (
            finalist,
            {"side": side, "place": place, "fold": fold},
        )
        for side in SIDES
        for place in range(FINALISTS)
        for fold in STAGE_TWO
    }
    | {
        f"old n-grams, place 0, fold {fold}": (old_fold, {"fold": fold})
        for fold in STAGE_TWO
    },
    "lab_d": {
        f"{side} {seed}": (final, {"side": side, "seed": seed})
        for side in (*SIDES, "old n-grams")
        for seed in (SEEDS if side in NETWORKS else (0,))
    }
    | {"regression by nats 0": (final_by_nats, {})},
}
SUMMARIES = {"lab_d_folds": frozen, "lab_d": summary}
