"""The long experiments of laboratory A: counts against networks on the whole book.

Run by ``python -m companion.experiments``, with ``lab_a_search``, which looks at the
validation text alone, or ``lab_a``, the one evaluation on the test text.
"""

import time

import torch
from torch import Tensor

from companion.experiments.direct_networks import network
from companion.experiments.scoring import PARTS, average, mix, mixed, parts, score
from companion.laboratory.kneser_ney import KneserNey
from companion.laboratory.ngram import WittenBell
from companion.text import Vocab

SEEDS = range(5)


def counts(kind: str, order: int, scale: float = 1.0, test: bool = False) -> dict:
    """Score one counting model, fixed and counting on."""
    train, *texts, vocab = parts()
    result = {"scores": {}}
    for part, text in zip(PARTS, texts, strict=True):
        if part == "test" and not test:
            continue
        began = time.process_time()
        if kind == "Kneser-Ney":
            model = KneserNey(train, order, len(vocab))
        else:
            model = WittenBell(train, order, len(vocab), scale=scale)
        result["seconds"] = time.process_time() - began
        result["parameters"] = {"recurrent": 0, "rows": model.size}
        logs = {
            "static": model.probabilities(text).log(),
            "dynamic": model.probabilities(text, learn=True).log(),
        }
        result[part] = {way: score(values) for way, values in logs.items()}
        result["scores"][part] = {way: v.tolist() for way, v in logs.items()}
    return result


def scales(order: int, tried: tuple = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)) -> dict:
    """Score Witten-Bell with several scales on the validation text."""
    train, validation, _, vocab = parts()
    model, found = WittenBell(train, order, len(vocab)), {}
    for scale in tried:
        model.scale = scale
        found[str(scale)] = score(model.probabilities(validation).log())
    return {"validation": found}


# --- Mixtures -------------------------------------------------------------------------


def mixtures(results: dict[str, dict], way: str) -> dict:
    """Average and mix both sides, fixed ("static") or learning on ("dynamic")."""
    logs = {
        key: {
            part: torch.tensor(found[way], dtype=torch.float64)
            for part, found in result["scores"].items()
        }
        for key, result in results.items()
        if all(way in found for found in result["scores"].values())
    }
    kneser_ney, witten_bell = logs["Kneser-Ney 7"], logs["Witten-Bell 8 tuned"]
    networks = [logs[f"direct {seed}"] for seed in SEEDS]
    together = {part: average([a[part] for a in networks]) for part in PARTS}
    both = mixed(kneser_ney, witten_bell)
    w = both["weight"]
    counted = {p: mix([kneser_ney[p], witten_bell[p]], [w, 1 - w]) for p in PARTS}
    return {
        "both counts": both,
        "five networks": {part: score(together[part]) for part in PARTS},
        "network and counts": [mixed(a, counted) for a in networks],
        "all": mixed(together, counted),
    }


def by_character(results: dict[str, dict], vocab: Vocab, text: Tensor) -> dict:
    """Return what the characters of a text cost three models, in nats.

    A line of it character by character, and the means over all characters that follow
    a space, and over the others.
    """
    keys = ("Kneser-Ney 7", "LSTM 0", "direct 0")
    costs = {
        key: -torch.tensor(results[key]["scores"]["validation"]["static"])
        for key in keys
    }
    written = vocab.decode(text)
    first = torch.tensor([before == " " for before in written[:-1]])
    piece = slice(6000, 6070)
    return {
        "text": written[1:][piece],
        "nats": {key: found[piece].tolist() for key, found in costs.items()},
        "share of first letters": first.double().mean().item(),
        "first letters": {key: x[first].mean().item() for key, x in costs.items()},
        "others": {key: x[~first].mean().item() for key, x in costs.items()},
    }


def summary(results: dict[str, dict]) -> dict:
    """Return what `lab_a` keeps beside the single results, and drop the scores."""
    _, validation, _, vocab = parts()
    found = {way: mixtures(results, way) for way in ("static", "dynamic")}
    found["line"] = by_character(results, vocab, validation)
    return found | without_scores(results)


def without_scores(results: dict[str, dict]) -> dict:
    """Drop the scores of single tokens, and add nothing."""
    for result in results.values():
        result.pop("scores", None)
    return {}


# --- What is run ----------------------------------------------------------------------

# Chosen on the validation text with one seed: see the record of `lab_a_search`.
CHOSEN = {"hidden": 256, "folds": 4, "dropout": 0.4}
DYNAMIC = (0.05, 0.6)


def network_jobs(name: str, seeds: range = SEEDS, **options) -> dict:
    return {f"{name} {seed}": (network, options | {"seed": seed}) for seed in seeds}


def search(name: str, **options) -> dict:
    small = {"hidden": 128, "folds": 4, "dropout": 0.3, "seed": 0}
    return {name: (network, small | options)}


def count_jobs(kind: str, order: int, name: str = "", **options) -> dict:
    options = {"kind": kind, "order": order, "test": True} | options
    return {f"{kind} {order} {name}".strip(): (counts, options)}


JOBS = {
    "lab_a": {
        **network_jobs("direct", **CHOSEN, dynamic=DYNAMIC, test=True),
        **{k: j for n in range(1, 9) for k, j in count_jobs("Kneser-Ney", n).items()},
        **count_jobs("Witten-Bell", 5),
        **count_jobs("Witten-Bell", 8, "tuned", scale=8.0),
        **network_jobs(
            "LSTM",
            range(3),
            hidden=256,
            dropout=0.4,
            longest=0,
            dynamic=(0.05, 0.0),
            test=True,
        ),
    },
    "lab_a_search": {
        **search("small"),
        **search("F = 0", folds=0),
        **search("H = 1", hidden=1, dropout=0.0),
        **search("H = 16", hidden=16),
        **search("L = 4", longest=4),
        **search("penalty 1.5", decay=1.5),
        **search("penalty 0.15", decay=0.15),
        **search("no recurrence", recurrent_layer=False),
        **search("no gates", gates=False),
        "LSTM, tuned": (
            network,
            {
                "hidden": 256,
                "seed": 0,
                "longest": 0,
                "rate": 0.015,
                "dropout": 0.1,
                "input_dropout": 0.0,
            },
        ),
        **{f"Witten-Bell {order}": (scales, {"order": order}) for order in (7, 8, 9)},
    },
}
SUMMARIES = {"lab_a": summary, "lab_a_search": without_scores}
