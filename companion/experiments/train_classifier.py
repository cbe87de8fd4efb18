"""Make the classifier that ships with the package, on the real data.

    python -m companion.experiments.train_classifier

trains on all names but a test part, scores that part once, and writes the weights, for
:func:`companion.classify.stored.read`, to ``companion/data/classifier.pt``, and
settings, versions, checksums and scores (of the weights as stored) beside it, to
``classifier.json``.
Another run on another processor ends in other weights, about as good.
"""

import argparse
import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from companion import datasets
from companion.classifier import log_probabilities
from companion.classify.stored import SHIPPED, read
from companion.experiments.spelling import SpellingClassifier, known_ngrams, store
from companion.laboratory.name_training import batches, train_on_names
from companion.laboratory.surnames import examples
from companion.names import ALPHABET, ids, split
from companion.support import files

#: Units of each direction, characters of the longest n-gram, and how it is trained. Of
#: the two finalists of laboratory D's search, the one with the smaller cross-entropy on
#: its folds (0.533 against 0.543 nats per name), since probabilities are printed; the
#: other has more accuracy and macro F1 there.
SETTINGS = {
    "hidden": 96,
    "direct": 4,
    "dropout": 0.5,
    "ngram_dropout": 0.3,
    "aux_weight": 1.0,  # of the language-model loss
    "rate": 0.01438,  # the highest of one cycle of the learning rate
    "decay": 0.3,  # of the scores of n-grams; nothing else decays
    "average": 0.99,  # of the moving average of the weights, which is what is kept
    "epochs": 12,
    "batch_size": 256,
    "seed": 0,
}

Part = tuple[list[str], list[int]]


def parts(rows: Mapping[str, Sequence[str]]) -> tuple[Part, Part]:
    """Split normal names into those to train with and the test part, a fifth.

    Args:
        rows: Rows of each language.

    Returns:
        Names and labels of both; no name is in both.
    """
    names, labels, _ = examples(rows)
    sides = split(names, labels, test_size=0.2, seed=0)
    return tuple(([names[i] for i in s], [labels[i] for i in s]) for s in sides)


def train(part: Part, settings: Mapping, num_classes: int) -> SpellingClassifier:
    """Train a classifier, and return the moving average of its weights."""
    names, labels = part
    torch.manual_seed(settings["seed"])
    generator = torch.Generator().manual_seed(settings["seed"])
    sequences = [ids(name) for name in names]
    longest = settings["direct"]
    model = SpellingClassifier(
        nn.GRU(len(ALPHABET), settings["hidden"], bidirectional=True),
        num_classes,
        dropout=settings["dropout"],
        ngram_dropout=settings["ngram_dropout"],
        aux_weight=settings["aux_weight"],
        longest=longest,
        known=known_ngrams(sequences, longest),
    )
    table = model.direct.weight
    others = [p for p in model.parameters() if p is not table]
    rate, size = settings["rate"], settings["batch_size"]
    optimiser = torch.optim.AdamW(
        [
            {"params": [table], "weight_decay": settings["decay"]},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=rate,
        fused=True,
    )
    steps = settings["epochs"] * math.ceil(len(names) / size)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps + 1, pct_start=0.1, final_div_factor=50
    )
    average = AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(settings["average"])
    )
    optimiser.register_step_post_hook(
        lambda *_: (cycle.step(), average.update_parameters(model))
    )
    for epoch in range(settings["epochs"]):
        minibatches = batches(sequences, labels, size, generator=generator)
        loss = train_on_names(model, minibatches, optimiser, objective=model.loss)
        print(f"epoch {epoch + 1}: loss {loss:.3f}", file=sys.stderr)
    return average.module.eval()


def scores(labels: Sequence[int], logs: Tensor) -> dict[str, float]:
    """Measure accuracy, macro F1, and the cross-entropy in nats per name."""
    from sklearn.metrics import f1_score

    truth, guess = torch.tensor(labels), logs.argmax(1)
    return {
        "accuracy": (guess == truth).double().mean().item(),
        "macro F1": f1_score(truth, guess, average="macro", zero_division=0.0),
        "nats": F.nll_loss(logs.double(), truth).item(),
    }


def make(folder: Path, settings: Mapping) -> dict:
    """Train, write both files, and score the weights as they are stored.

    Args:
        folder: Where the files go.
        settings: As ``SETTINGS``.

    Returns:
        What stands in ``classifier.json``.
    """
    rows = datasets.names()
    training, test = parts(rows)
    began = time.perf_counter()
    model = train(training, settings, len(rows))
    seconds = time.perf_counter() - began
    path = folder / "classifier.pt"
    store(model, list(rows), path)
    stored = read(path)
    listed = {k: v for k, v in files.CHECKSUMS.items() if k.startswith("names/")}
    sums = "".join(f"{v}  {k}\n" for k, v in sorted(listed.items()))
    return {
        "settings": dict(settings),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "seconds of training": round(seconds),
        "data": datasets.origin()[0],
        "sha256 of the SHA256SUMS of names/": _sha256(sums.encode()),
        "sha256 of classifier.pt": _sha256(path.read_bytes()),
        "names to train with": len(training[0]),
        "names to test with": len(test[0]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "test": scores(test[1], log_probabilities(stored, test[0])),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the classifier with the settings of the command line.

    Args:
        arguments: Those of the command line; None: of this process.

    Returns:
        0, or 2 where the real data are not at hand.
    """
    parser = argparse.ArgumentParser(
        prog="python -m companion.experiments.train_classifier"
    )
    for key, value in SETTINGS.items():
        option = f"--{key.replace('_', '-')}"
        parser.add_argument(option, type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    if datasets.origin()[0] != "real":
        print(f"{parser.prog}: the data are the sample", file=sys.stderr)
        return 2
    folder = SHIPPED.parent
    changed = {k: v for k, v in given.items() if v != SETTINGS[k]}
    words = [f"--{k.replace('_', '-')} {v}" for k, v in changed.items()]
    report = {"command": " ".join([parser.prog, *words])} | make(folder, given)
    text = json.dumps(report, indent=1) + "\n"
    (folder / "classifier.json").write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
