"""Laboratory D: the search of every setting, on folds of the training names.

Stage one, ``lab_d_search``: each setting on fold 0. Stage two, ``lab_d_folds``: the
best two of each kind on folds 1 and 2; the best of these is frozen. The test part is
not touched by either.
"""

import random
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.experiments.name_networks import network_logs
from companion.experiments.name_ngrams import other_logs, regression_path
from companion.experiments.name_parts import best_tau, contest_parts, inner_parts, value

SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
OLD = {
    "kind": "joint",
    "options": {
        "hidden": 128,
        "order": 3,
        "spelling": 3.0,
        "dropout": 0.5,
        "piece_dropout": 0.5,
    },
    "rate": 8e-3,
    "epochs": 20,
    "decay": 0.1,
    "average": 0.98,
}

# --- The spaces -----------------------------------------------------------------------


def draw(name: str, number: int) -> dict:
    """Draw the settings of a network; number 0 of the full one is the old page's."""
    rng = random.Random(f"{name} {number}")
    if name in ("RNN", "GRU", "LSTM"):
        low, high = (-2.8, -2.0) if name == "RNN" else (-2.1, -1.4)
        return {
            "kind": name,
            "options": {
                "hidden": rng.choice([96, 128]),
                "dropout": rng.choice([0.0, 0.2, 0.4]),
            },
            "rate": round(10 ** rng.uniform(low, high), 5),
            "epochs": rng.choice([12, 18]),
            "average": rng.choice([0.98, 0.99]),
        }
    recurrent, order, spelling = (part in name for part in ("states", "pie", "spell"))
    wider = number >= WIDER[name]
    if number == 0:
        found = OLD | {"options": dict(OLD["options"])}
    else:
        found = {
            "kind": "joint",
            "options": {
                "hidden": rng.choice([96, 128] if wider else [64, 96]),
                "order": rng.choice([3, 4]),
                "spelling": rng.choice([0.25, 0.5, 1.0] if wider else [0.5, 1, 2, 4]),
                "dropout": rng.choice([0.3, 0.4, 0.5] + [0.6] * (not wider)),
                "piece_dropout": rng.choice(
                    [0.1, 0.2, 0.3, 0.4] if wider else [0.3, 0.4, 0.5, 0.6, 0.7]
                ),
            },
            "rate": round(
                10 ** rng.uniform(*((-2, -1.4) if wider else (-2.3, -1.6))), 5
            ),
            "epochs": rng.choice([12, 16, 20]),
            "decay": rng.choice([0.1, 0.3, 1.0] if wider else [0.0, 0.03, 0.1, 0.3]),
            "average": rng.choice([0.98, 0.99]),
        }
    options = found["options"]
    options["hidden"] *= recurrent
    options["order"] *= order
    options["spelling"] *= spelling
    return found


NETWORKS = {
    "states, pieces, spelling": 14,
    "states, pieces": 5,
    "states, spelling": 5,
    "pieces": 24,
    "GRU": 4,
    "LSTM": 4,
    "RNN": 4,
}
# The best of the first draws lay at an edge; from these numbers on the space is wider.
WIDER = {
    "states, pieces, spelling": 10,
    "states, pieces": 2,
    "states, spelling": 2,
    "pieces": 16,
}
SMALL_C, LARGE_C = (0.3, 1.0, 3.0), (10.0, 30.0, 100.0)
PATHS = [
    *(("binary", order, SMALL_C, True, None) for order in (3, 4, 5)),
    *(("binary, length 1", order, LARGE_C, True, None) for order in (3, 4, 5)),
    *(("tf-idf", order, LARGE_C, True, None) for order in (3, 4)),
    ("sublinear tf-idf", 4, LARGE_C, True, None),
    ("counts", 4, SMALL_C, True, None),
    ("binary, length 1", 4, LARGE_C, False, None),
    ("binary, length 1", 4, LARGE_C, True, "balanced"),
    # The best of these had the largest C.
    *(("binary, length 1", order, (300.0,), True, None) for order in (3, 4, 5)),
    ("binary", 4, (10.0,), True, None),
]
WEIGHTED = ("binary", "binary, length 1", "tf-idf", "sublinear tf-idf")
OTHERS = {
    "SVM": [
        {"weighting": w, "order": order, "C": C, "class_weight": weight}
        for w in WEIGHTED
        for order, weight in ((3, None), (4, None), (5, None), (4, "balanced"))
        for C in ((0.03, 0.1, 0.3, 1.0) if w == "binary" else (0.3, 1.0, 3.0, 10.0))
    ],
    "naive Bayes": [
        {"weighting": w, "order": order, "alpha": alpha}
        for w in WEIGHTED
        for order in (3, 4, 5)
        for alpha in (0.03, 0.1, 0.3, 1.0)
    ],
    "neighbours": [
        {"weighting": w, "order": order, "n_neighbors": k}
        for w in ("binary, length 1", "tf-idf")
        for order in (3,)
        for k in (5, 15)
    ],
}

# --- What is run ----------------------------------------------------------------------


def logs_of(train, names, side: str, settings: dict, seed: int = 0) -> Tensor:
    """Train with some settings; log-probabilities of other names, (n, K)."""
    settings = dict(settings)
    if side in NETWORKS:
        return network_logs(train, names, seed=seed, **settings)
    if side == "regression":
        C = settings.pop("C")
        return regression_path(train, names, Cs=[C], **settings)[C][0]
    return other_logs(train, names, side, **settings)


def scaled(side: str, truth: list[int], logs: Tensor) -> tuple[float, Tensor]:
    """Scale scores that are no log-probabilities, by the nats."""
    labels = torch.tensor(truth)
    tried = {
        scale: (scale * logs).log_softmax(1)
        for scale in (SCALES if side in OTHERS else (1.0,))
    }
    best = min(tried, key=lambda s: F.nll_loss(tried[s], labels))
    return best, tried[best]


def judge(parts: dict, logs: Tensor) -> dict:
    """Choose tau on these predictions, and give their value."""
    tau, found = best_tau([(parts["train"][1], parts["test"][1], logs)])
    return {"value": sum(map(value, found.values())), "tau": tau, **found}


def try_networks(name: str, number: int) -> list[dict]:
    parts = inner_parts(contest_parts()["train"], 0)
    began, settings = time.process_time(), draw(name, number)
    logs = logs_of(parts["train"], parts["test"][0], name, settings)
    seconds = time.process_time() - began
    return [{"settings": settings, "seconds": seconds, **judge(parts, logs)}]


def try_regressions(path: tuple) -> list[dict]:
    weighting, order, Cs, marks, weight = path
    parts = inner_parts(contest_parts()["train"], 0)
    began = time.process_time()
    fixed = {"weighting": weighting, "order": order, "marks": marks, "weight": weight}
    found = regression_path(
        parts["train"], parts["test"][0], Cs=Cs, tolerance=1e-5, **fixed
    )
    seconds = (time.process_time() - began) / len(Cs)
    return [
        {
            "settings": fixed | {"C": C},
            "seconds": seconds,
            "steps": steps,
            **judge(parts, logs),
        }
        for C, (logs, steps) in found.items()
    ]


def try_others(kind: str) -> list[dict]:
    parts, table = inner_parts(contest_parts()["train"], 0), []
    for settings in OTHERS[kind]:
        began = time.process_time()
        logs = logs_of(parts["train"], parts["test"][0], kind, settings)
        seconds = time.process_time() - began
        _, logs = scaled(kind, parts["test"][1], logs)
        table.append({"settings": settings, "seconds": seconds, **judge(parts, logs)})
    return table


DATA = "names"
JOBS = {
    "lab_d_search": {
        **{
            f"{name}: {number}": (try_networks, {"name": name, "number": number})
            for name, count in NETWORKS.items()
            for number in range(count)
        },
        **{kind: (try_others, {"kind": kind}) for kind in OTHERS},
        **{
            f"regression: {i}": (try_regressions, {"path": path})
            for i, path in enumerate(PATHS)
        },
    },
}
