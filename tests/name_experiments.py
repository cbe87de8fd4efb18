"""The long experiments of chapter 8: names, as published and without leaks.

Run by ``python -m tests.experiments``, with ``names`` or ``names_clean``.
"""

import math

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from companion import datasets
from companion.classic import ClassicGRU, ClassicRNN, train_one_at_a_time
from companion.classifier import (
    JointClassifier,
    NameClassifier,
    log_probabilities,
    top_k,
    train_epoch,
)
from companion.names import (
    ALPHABET,
    batches,
    clean,
    distinct,
    encode,
    fold,
    ids,
    split,
)

SEEDS = range(5)

# --- As published: one name at a time, batch 1, 2 epochs ------------------------------

TYPED = ("Mike", "Qin", "Slaveya", "Jake", "Fernando", "Demirkan")


def published_rows() -> tuple[list[str], list[int]]:
    """Return the 20,070 rows of the published run, folded, with the label of each.

    Only rows with a character outside the alphabet are missing: page links, stray marks
    and duplicates are in.
    """
    rows, labels = [], []
    for label, raws in enumerate(datasets.names().values()):
        kept = [fold(raw.rstrip()) for raw in raws]
        kept = [name for name in kept if not set(name) - set(ALPHABET)]
        rows += kept
        labels += [label] * len(kept)
    return rows, labels


def reliability(correct: Tensor, confidence: Tensor, bins: int = 10) -> list[dict]:
    """Group predictions by their confidence into bins of equal width.

    Empty bins are left out.
    """
    places = (confidence * bins).long().clamp(max=bins - 1)
    table = []
    for place in places.unique().tolist():
        inside = places == place
        table.append(
            {
                "count": int(inside.sum()),
                "confidence": confidence[inside].double().mean().item(),
                "accuracy": correct[inside].double().mean().item(),
            }
        )
    return table


def scores(labels: Tensor, log_probabilities: Tensor) -> dict:
    """Measure predictions: accuracy, macro averages, cross-entropy."""
    predicted = log_probabilities.argmax(1)
    macro = precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0.0
    )
    return {
        "accuracy": (predicted == labels).double().mean().item(),
        "macro recall": macro[1],
        "macro F1": macro[2],
        "nats": F.nll_loss(log_probabilities.double(), labels).item(),
    }


def classic_names(kind: str, seed: int, epochs: int = 2, size: float = 1.0) -> dict:
    """Run the published experiment once; ``size`` below 1 takes a share of the rows."""
    rows, labels = published_rows()
    languages = list(datasets.names())
    train, test = train_test_split(
        range(len(rows)), test_size=0.1, stratify=labels, random_state=seed
    )
    if size < 1:
        train, test = (part[: int(size * len(part))] for part in (train, test))
    torch.manual_seed(seed)
    K = len(languages)
    # The RNN's gradient was clipped, the GRU's was not.
    if kind == "RNN":
        model, max_norm = ClassicRNN(len(ALPHABET), 256, K), 1.0
    else:
        model, max_norm = ClassicGRU(len(ALPHABET), 256, K), math.inf
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    examples = [(encode(rows[i]), labels[i]) for i in train]
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(epochs):
        losses.append(
            train_one_at_a_time(
                model, examples, optimiser, max_norm=max_norm, generator=generator
            )
        )

    @torch.no_grad()
    def predict(names: list[str]) -> Tensor:
        return torch.cat([model(encode(name)) for name in names]).log_softmax(1)

    model.eval()
    truth = torch.tensor([labels[i] for i in test])
    names = [rows[i] for i in test]
    logs = predict(names)
    predicted = logs.argmax(1)
    correct = (predicted == truth).double()
    seen = {(rows[i], labels[i]) for i in train}
    strings = {name for name, _ in seen}
    # In training with the same label, with other labels only, or not at all.
    groups = {"repeated": [], "contradicted": [], "new": []}
    for place, i in enumerate(test):
        known = rows[i] in strings
        same = (rows[i], labels[i]) in seen
        groups["repeated" if same else "contradicted" if known else "new"].append(place)
    result = scores(truth, logs)
    result |= {
        "train": len(train),
        "test": len(test),
        "groups": {
            name: {
                "count": len(places),
                "accuracy": correct[places].mean().item() if places else None,
            }
            for name, places in groups.items()
        },
        "confusion": confusion_matrix(truth, predicted, labels=range(K)).tolist(),
        "reliability": reliability(correct, logs.amax(1).exp()),
        "losses": [epoch[2999::3000].tolist() for epoch in losses],
        "mean losses": [
            [part.mean().item() for part in epoch.split(3000)] for epoch in losses
        ],
        "typed": {
            name: {
                languages[k]: p.item()
                for p, k in zip(*predict([name])[0].exp().topk(3), strict=True)
            }
            for name in TYPED
        },
    }
    if kind == "RNN":
        draws = torch.stack([predict(names).argmax(1) for _ in range(10)])
        moved = (draws != draws[0]).any(0)
        result["moved by the initial state"] = int(moved.sum())
        result["accuracy over draws"] = [
            (draw == truth).double().mean().item() for draw in draws
        ]
    return result


# --- Without leaks: recurrent networks against n-grams --------------------------------

# What the recorded searches chose: the largest sum of accuracy and macro F1 on the
# validation part of seed 0.
NGRAMS = {"longest": 3, "C": 30.0, "class_weight": None}
RATES = {"RNN": 0.004, "GRU": 0.032, "LSTM": 0.032}
#: Weight decay of the direct connections; nothing else decays.
DECAY = 0.1
TAUS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
#: Samples of the test names behind an interval.
DRAWS = 2000
#: Hidden units that make about 75,000 parameters, output layer included.
EQUAL = {"RNN": 237, "GRU": 128, "LSTM": 108}
#: Networks of 128 units in each direction: what their classes are scored by.
PARTS = {
    "pieces": {"joint": {"direct": 3}, "linear": True},
    "states": {"joint": {"spelling": 0.0}},
    "states, spelling": {"joint": {}},
    "states, pieces": {"joint": {"direct": 3, "spelling": 0.0}},
    "all three": {"joint": {"direct": 3}},
}

Part = tuple[list[str], list[int]]


def name_parts(seed: int) -> dict[str, Part]:
    """Split the distinct rows into training, validation and test.

    The test part, a fifth, is the same for all seeds. An eighth of the rest is for
    validation. No name is in two parts.
    """
    names, labels = distinct(clean(datasets.names())[0])

    def rows(places: list[int]) -> Part:
        return [names[i] for i in places], [labels[i] for i in places]

    rest, test = split(names, labels, share=0.2, seed=0)
    part = rows(rest)
    inner, validation = split(*part, share=0.125, seed=seed)
    return {
        "train": ([part[0][i] for i in inner], [part[1][i] for i in inner]),
        "validation": (
            [part[0][i] for i in validation],
            [part[1][i] for i in validation],
        ),
        "test": rows(test),
    }


def adjust(logs: Tensor, labels: list[int], tau: float) -> Tensor:
    """Take ``tau * ln(share)`` of each class in training off the log-probabilities."""
    counts = torch.bincount(torch.tensor(labels), minlength=logs.shape[1])
    return (logs - tau * (counts / counts.sum()).log()).log_softmax(1)


def report(parts: dict[str, Part], logs: dict[str, Tensor]) -> dict:
    """Choose tau on the validation part, and score both parts.

    The best tau has the largest sum of accuracy and macro F1. The test part is scored
    without an adjustment, and with that one.
    """
    inside = parts["train"][1]
    truth = {n: torch.tensor(parts[n][1]) for n in logs}

    def value(tau: float) -> float:
        at = scores(truth["validation"], adjust(logs["validation"], inside, tau))
        return at["accuracy"] + at["macro F1"]

    tau = max(TAUS, key=value)
    result = {"tau": tau}
    for name, log in logs.items():
        result[name] = {
            "plain": scores(truth[name], log),
            "adjusted": scores(truth[name], adjust(log, inside, tau)),
        }
    if "test" in logs:
        correct = (logs["test"].argmax(1) == truth["test"]).double()
        result["reliability"] = reliability(correct, logs["test"].amax(1).exp())
    result["logs"] = {name: log.tolist() for name, log in logs.items()}
    return result


def linear(parts: dict[str, Part], longest: int, C: float, class_weight) -> dict:
    """Fit a logistic regression on tf-idf weighted n-grams of ``^name$``."""
    vectors = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, longest),
        lowercase=False,
        preprocessor=lambda name: f"^{name}$",
    )
    names, labels = parts["train"]
    model = LogisticRegression(C=C, class_weight=class_weight, max_iter=500)
    model.fit(vectors.fit_transform(names), labels)
    return {
        part: torch.from_numpy(
            model.predict_log_proba(vectors.transform(parts[part][0]))
        )
        for part in ("validation", "test")
    }


def search_ngrams() -> dict:
    """Try the settings of the baseline on the validation part of seed 0."""
    parts, table = name_parts(0), {}
    grid = [
        (longest, C, None)
        for longest in (2, 3, 4, 5)
        for C in (3.0, 10.0, 30.0, 100.0, 300.0)
    ]
    for longest, C, weight in [*grid, (3, 10.0, "balanced"), (4, 10.0, "balanced")]:
        logs = linear(parts, longest, C, weight)
        del logs["test"]
        found = report(parts, logs)
        del found["logs"]
        table[f"{longest}, {C:g}, {weight}"] = found
    return table


def ngram_names(seed: int) -> dict:
    parts = name_parts(seed)
    return report(parts, linear(parts, **NGRAMS))


class PiecesAlone(JointClassifier):
    """The direct connections, without the recurrent layer: a linear model."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits, ``(N, K)``."""
        return self.score_pieces(ids, lengths) + self.output.bias

    def loss(self, ids: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy, in nats per name."""
        return F.cross_entropy(self(ids, lengths), labels)


def recurrent_names(
    kind: str,
    seed: int,
    *,
    hidden: int = 128,
    joint: dict | None = None,
    linear: bool = False,
    decay: float = DECAY,
    epochs: int = 20,
    rate: float = 8e-3,
    batch_size: int = 256,
    score: tuple[str, ...] = ("validation", "test"),
) -> dict:
    """Train a packed classifier; the moving average of its weights is scored.

    ``joint`` holds the options of a ``JointClassifier``; None trains a
    ``NameClassifier``. ``linear`` leaves the direct connections alone.
    """
    parts = name_parts(seed)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    K = len(datasets.LANGUAGES)
    layer = getattr(nn, kind)(len(ALPHABET), hidden, bidirectional=joint is not None)
    if joint is None:
        model = NameClassifier(layer, K, dropout=0.3)
    else:
        model = (PiecesAlone if linear else JointClassifier)(layer, K, **joint)
    names, labels = parts["train"]
    sequences = [ids(name) for name in names]
    direct = {"direct.weight"}
    optimiser = torch.optim.AdamW(
        [
            {
                "params": [p for n, p in model.named_parameters() if n in direct],
                "weight_decay": decay,
            },
            {
                "params": [p for n, p in model.named_parameters() if n not in direct],
                "weight_decay": 0.0,
            },
        ],
        lr=rate,
        fused=True,
    )
    total = epochs * math.ceil(len(names) / batch_size)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=total + 1, pct_start=0.1, final_div_factor=50
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    optimiser.register_step_post_hook(
        lambda *_: (cycle.step(), average.update_parameters(model))
    )
    curve = [
        train_epoch(
            model,
            batches(sequences, labels, batch_size, generator=generator),
            optimiser,
            objective=None if joint is None else model.loss,
        )
        for _ in range(epochs)
    ]
    chosen = average.module
    logs = {n: log_probabilities(chosen, parts[n][0]) for n in score}
    typed = {name: dict(top_k(chosen, name, datasets.LANGUAGES)) for name in TYPED}
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "losses": curve,
        "typed": typed,
        **report(parts, logs),
    }


def search_rates(kind: str) -> dict:
    """Try learning rates on the validation part of seed 0."""
    options = {"hidden": EQUAL[kind], "epochs": 10, "score": ("validation",)}
    table = {}
    for rate in (0.002, 0.004, 0.008, 0.016, 0.032, 0.064):
        found = recurrent_names(kind, 0, rate=rate, **options)
        table[f"{rate:g}"] = {key: found[key] for key in ("tau", "validation")}
    return table


def search_decay() -> dict:
    """Try decays of the direct connections on the validation part of seed 0."""
    table = {}
    for decay in (0.0, 0.03, 0.1, 0.3, 1.0):
        found = recurrent_names(
            "GRU", 0, decay=decay, score=("validation",), **PARTS["all three"]
        )
        table[f"{decay:g}"] = {key: found[key] for key in ("tau", "validation")}
    return table


def differences(results: dict[str, dict]) -> dict:
    """Compare with the n-grams: intervals, plain and adjusted.

    The log-probabilities are taken out of the results.
    """
    logs = {key: result.pop("logs", None) for key, result in results.items()}
    truth = torch.tensor(name_parts(0)["test"][1])
    kinds = ("n-grams", "GRU", "states, spelling", "all three")
    table = {}
    for way in ("plain", "adjusted"):
        guesses = {kind: [] for kind in kinds}
        for seed in SEEDS:
            labels = name_parts(seed)["train"][1]
            for kind, runs in guesses.items():
                key = f"{kind} {seed}"
                log = torch.tensor(logs[key]["test"])
                tau = results[key]["tau"] if way == "adjusted" else 0.0
                runs.append(adjust(log, labels, tau).argmax(1))
        table[way] = {
            kind: intervals(truth, guesses[kind], guesses["n-grams"])
            for kind in kinds[1:]
        }
    return table


def intervals(truth: Tensor, ours: list[Tensor], theirs: list[Tensor]) -> dict:
    """Bound the differences of scores, each the mean over the seeds.

    ``DRAWS`` samples of the test names are drawn with replacement; the bounds hold the
    middle 95 % of their differences.
    """
    generator = torch.Generator().manual_seed(0)
    metrics = {
        "accuracy": accuracy_score,
        "macro F1": lambda a, b: f1_score(a, b, average="macro", zero_division=0.0),
    }
    differences = {name: [] for name in metrics}
    for _ in range(DRAWS):
        draw = torch.randint(len(truth), (len(truth),), generator=generator)
        for name, metric in metrics.items():
            gaps = [
                metric(truth[draw], a[draw]) - metric(truth[draw], b[draw])
                for a, b in zip(ours, theirs, strict=True)
            ]
            differences[name].append(sum(gaps) / len(gaps))
    bounds = torch.tensor([0.025, 0.975], dtype=torch.float64)
    return {
        name: torch.tensor(values, dtype=torch.float64).quantile(bounds).tolist()
        for name, values in differences.items()
    }


# --- What is run ----------------------------------------------------------------------

JOBS = {
    "names": {
        f"classic {kind} {seed}": (classic_names, {"kind": kind, "seed": seed})
        for seed in range(3)
        for kind in ("RNN", "GRU")
    },
    "names_clean": {
        "search n-grams": (search_ngrams, {}),
        **{f"search {kind}": (search_rates, {"kind": kind}) for kind in EQUAL},
        "search decay": (search_decay, {}),
        **{f"n-grams {seed}": (ngram_names, {"seed": seed}) for seed in SEEDS},
        **{
            f"{kind} {seed}": (
                recurrent_names,
                {
                    "kind": kind,
                    "hidden": hidden,
                    "seed": seed,
                    "epochs": 10,
                    "rate": RATES[kind],
                },
            )
            for kind, hidden in EQUAL.items()
            for seed in SEEDS
        },
        **{
            f"{name} {seed}": (
                recurrent_names,
                {"kind": "GRU", "seed": seed, **options},
            )
            for name, options in PARTS.items()
            for seed in SEEDS
        },
    },
}
