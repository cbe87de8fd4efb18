"""The classic experiment on names, as published, and with its output repaired.

Run by ``python -m companion.experiments``, with ``names`` or ``lab_d_output``.
"""

import math
import re
import subprocess
import sys

import torch
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
)
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

from companion import datasets
from companion.experiments.name_parts import binned
from companion.laboratory.classic import ClassicGRU, ClassicRNN, train_one_at_a_time
from companion.laboratory.surnames import encode
from companion.names import ALPHABET, fold

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
    keys = ("count", "confidence", "accuracy")
    table = binned(confidence, correct.double(), bins)
    return [dict(zip(keys, row, strict=True)) for row in table]


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


class NewestState(ClassicRNN):
    """The published network, but for its output, which reads the newest state alone."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int):
        super().__init__(input_size, hidden_size, num_classes)
        self.output = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the logits of the last step, ``(1, K)``."""
        h = self.begin_state() if state is None else state
        for x_t in x:
            h = torch.sigmoid(self.hidden(torch.cat((x_t, h), dim=1)))
        return self.output(h)


RECURRENT = {"RNN": ClassicRNN, "newest state": NewestState}


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
    if kind in RECURRENT:
        model, max_norm = RECURRENT[kind](len(ALPHABET), 256, K), 1.0
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
    if kind in RECURRENT:
        draws = torch.stack([predict(names).argmax(1) for _ in range(10)])
        moved = (draws != draws[0]).any(0)
        result["moved by the initial state"] = int(moved.sum())
        result["accuracy over draws"] = [
            (draw == truth).double().mean().item() for draw in draws
        ]
    return result


def newest_state(seed: int) -> dict:
    """Run the published experiment with an output that reads the newest state."""
    found = classic_names("newest state", seed)
    return {key: found[key] for key in ("accuracy", "macro recall", "macro F1", "nats")}


def processes(count: int) -> dict:
    """Run the data-parallel program with some processes; the loss of each epoch."""
    command = f"torch.distributed.run --standalone --nproc-per-node {count}"
    program = "companion.laboratory.parallel --epochs 3 --hidden-size 32"
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), "-m", *program.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    return {"nats": [float(x) for x in re.findall(r": (\S+) nats", done.stdout)]}


# --- What is run ----------------------------------------------------------------------

DATA = "names"
JOBS = {
    "names": {
        f"classic {kind} {seed}": (classic_names, {"kind": kind, "seed": seed})
        for seed in range(3)
        for kind in ("RNN", "GRU")
    },
    "lab_d_output": {
        **{f"newest state {seed}": (newest_state, {"seed": seed}) for seed in range(3)},
        **{f"processes {count}": (processes, {"count": count}) for count in (1, 2)},
    },
}
