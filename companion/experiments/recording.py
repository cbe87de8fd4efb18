"""The book's long experiments, recorded with their provenance.

    python -m companion.experiments NAME [--workers 2]

runs one of them on the real data and writes ``companion/data/records/NAME.json``, from
which the chapters draw. Finished jobs are kept below ``_build/experiments/NAME``: an
interrupted run goes on where it stopped, and ``--fresh`` begins anew. Each job uses one
thread and its own seed, so a record does not depend on the number of workers.
"""

import argparse
import copy
import hashlib
import json
import math
import platform
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from companion import batching, datasets
from companion.clipping import clip_grad_norm_
from companion.experiments import counts, gates, layers, memory, name_contest, names
from companion.generation import generate
from companion.laboratory.fast import FastRNN
from companion.laboratory.ngram import WittenBell
from companion.language_model import LanguageModel, detach_state
from companion.text import Vocab, clean
from companion.training import evaluate, fit, perplexity

ROOT = Path(__file__).parents[2]

SEEDS = range(5)
CLASSIC_SEEDS = range(3)  # of each scheme; a run takes three minutes


def corpus(join: str) -> tuple[Tensor, Vocab]:
    text = clean(datasets.time_machine(), join=join)
    vocab = Vocab(text)
    return vocab.encode(text), vocab


# --- The classic run: 10,000 fused characters, H = 512, 500 epochs -----------------


def verbatim(sample: str, text: str, length: int = 20) -> float:
    """Share of the sample's windows of some length that stand in the text."""
    windows = [sample[i : i + length] for i in range(len(sample) - length + 1)]
    return sum(window in text for window in windows) / len(windows)


def prefixes_of(held_out: Tensor, vocab: Vocab) -> list[str]:
    """The two classic prefixes, and eight of 20 characters that no run has read."""
    places = range(0, 8000, 1000)
    return [
        "time traveller",
        "traveller",
        *(vocab.decode(held_out[i : i + 20]) for i in places),
    ]


def losses_by_position(model: nn.Module, ids: Tensor, length: int = 35) -> list[float]:
    """Mean loss at each step of windows that begin with a state of zeros, in nats."""
    rows = (len(ids) - 1) // length
    X, Y = (ids[i : i + rows * length].reshape(rows, length) for i in (0, 1))
    with torch.no_grad():
        logits, _ = model(X)
    losses = F.cross_entropy(logits, Y.T.reshape(-1), reduction="none")
    return losses.reshape(length, rows).mean(1).tolist()


def classic(scheme: str, seed: int, epochs: int = 500) -> dict:
    """Train as the classic run does, and measure both texts by the same function.

    "running" is the mean over an epoch while it goes on, "train" and "held_out" are
    :func:`evaluate` with the weights after it. "last" and "best" are the shares of 300
    characters, greedy or drawn, that stand in the training text, after the last epoch
    and after the one, among those of the curve, with the lowest score on the held-out
    text.
    """
    ids, vocab = corpus(join="")
    train, held_out = ids[:10_000], ids[10_000:20_000]
    text = vocab.decode(train)
    generator = torch.Generator().manual_seed(seed)
    layer = FastRNN(len(vocab), 512, generator=generator)
    model = LanguageModel(layer, len(vocab), generator=generator)
    carry = scheme == "sequential"
    batches = batching.sequential_batches if carry else batching.random_batches
    curve, best = [], {"held_out": math.inf}

    def copied() -> dict:
        shares = {"greedy": [], "drawn": []}
        draws = torch.Generator().manual_seed(seed)
        for prefix in prefixes_of(held_out, vocab):
            for way, temperature in (("greedy", 0.0), ("drawn", 1.0)):
                written = generate(
                    prefix,
                    300,
                    model,
                    vocab,
                    temperature=temperature,
                    generator=draws,
                )
                shares[way].append(verbatim(written[len(prefix) :], text))
        return shares

    def note(epoch):
        every = 10 if epoch.number <= 150 else 50
        if epoch.number % every and epoch.number > 3:
            return
        point = {
            "epoch": epoch.number,
            "running": perplexity(epoch.train),
            "train": perplexity(evaluate(model, train)),
            "held_out": perplexity(evaluate(model, held_out)),
            "norm": epoch.norm,
            "sample": generate("time traveller", 50, model, vocab),
        }
        curve.append(point)
        if point["held_out"] < best["held_out"]:
            best.update(point | copied())

    fit(
        model,
        lambda: batches(train, 32, 35, generator=generator),
        torch.optim.SGD(model.parameters(), lr=1),
        epochs,
        carry_state=carry,
        after_epoch=note,
    )
    return {
        "curve": curve,
        "best": {key: best[key] for key in ("epoch", "greedy", "drawn")},
        "last": {"epoch": epochs} | copied(),
        "written": generate("time traveller", 300, model, vocab),
        "positions": losses_by_position(model, train),
    }


# --- The whole book, with a proper split --------------------------------------------


def split(ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First 80 % for training, then 10 % for validation, the last 10 % for the test."""
    a, b = len(ids) * 8 // 10, len(ids) * 9 // 10
    return ids[:a], ids[a:b], ids[b:]


def log_probabilities(
    model: nn.Module, ids: Tensor, learning_rate: float = 0.0, chunk: int = 20
) -> Tensor:
    """Natural logarithm of the probability of each token but the first.

    With a learning rate the model takes a clipped gradient step on each chunk *after*
    it has been scored: dynamic evaluation (Mikolov et al. 2010; Krause et al. 2018).
    """
    model = copy.deepcopy(model).eval()
    optimiser = torch.optim.SGD(model.parameters(), learning_rate)
    state, scores = None, []
    for start in range(0, len(ids) - 1, chunk):
        targets = ids[start + 1 : start + 1 + chunk]
        with torch.set_grad_enabled(learning_rate > 0):
            logits, state = model(
                ids[start : start + len(targets)].unsqueeze(0), detach_state(state)
            )
            losses = F.cross_entropy(logits, targets, reduction="none")
        scores.append(-losses.detach().double())
        if learning_rate:
            optimiser.zero_grad()
            losses.mean().backward()
            clip_grad_norm_(model, 1.0)
            optimiser.step()
    return torch.cat(scores)


def recurrent(
    kind: str,
    hidden: int,
    seed: int,
    *,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    steps: int = 50,
    epochs: int = 24,
    rate: float = 4e-3,
    scores: bool = False,
) -> dict:
    """Train on the first part, choose the epoch on the second, score the third once.

    A minibatch has 1,600 tokens whatever its length, so that runs of different lengths
    take the same number of steps. Adam with one learning-rate cycle; next to the
    weights their exponential moving average (EMA, decay 0.997 a step) is measured.
    """
    ids, vocab = corpus(join=" ")
    train, validation, test = split(ids)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    V = len(vocab)
    model = LanguageModel(
        getattr(nn, kind)(V, hidden),
        V,
        init_std=1 / math.sqrt(hidden),
        dropout=dropout,
        input_dropout=input_dropout,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    # The offset of an epoch decides whether a row ends one window earlier.
    rows = 1600 // steps
    total = epochs * (len(train) // 1600 + 1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=total, pct_start=0.1, final_div_factor=50
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.997))
    optimiser.register_step_post_hook(
        lambda *_: (cycle.step(), average.update_parameters(model))
    )
    curve, best = [], {"weights": (math.inf, None), "ema": (math.inf, None)}

    def note(epoch):
        point = {"epoch": epoch.number, "train": perplexity(epoch.train)}
        for name, candidate in (("weights", model), ("ema", average.module)):
            point[name] = perplexity(evaluate(candidate, validation))
            if point[name] < best[name][0]:
                best[name] = point[name], copy.deepcopy(candidate)
        curve.append(point)

    fit(
        model,
        lambda: batching.sequential_batches(train, rows, steps, generator=generator),
        optimiser,
        epochs,
        carry_state=True,
        after_epoch=note,
    )
    result = {"curve": curve}
    for name, (score, chosen) in best.items():
        result[name] = {
            "validation": score,
            "test": perplexity(evaluate(chosen, test)),
        }
    if scores:
        chosen = best["ema"][1]
        result["scores"] = {
            part: {
                "static": log_probabilities(chosen, text).tolist(),
                "dynamic": log_probabilities(chosen, text, 0.05).tolist(),
            }
            for part, text in (("validation", validation), ("test", test))
        }
    return result


def ngrams(orders: range = range(1, 8)) -> dict:
    ids, vocab = corpus(join=" ")
    train, validation, test = split(ids)
    table = {}
    for order in orders:
        model = WittenBell(train, order, len(vocab))
        table[str(order)] = {
            part: math.exp(-model.probabilities(text).log().mean())
            for part, text in (("validation", validation), ("test", test))
        }
    return table


def combinations(results: dict[str, dict]) -> dict:
    """Mix the large models with one another and with the 5-gram.

    The weight of a mixture is chosen on the validation text.
    """
    ids, vocab = corpus(join=" ")
    train, *parts = split(ids)
    counts = WittenBell(train, 5, len(vocab))
    names = ("validation", "test")
    ngram = {
        n: counts.probabilities(p).log() for n, p in zip(names, parts, strict=True)
    }

    def score(logs: Tensor) -> float:
        return math.exp(-logs.mean())

    def mix(a: Tensor, b: Tensor, weight: float) -> Tensor:
        return torch.logaddexp(a + math.log(weight), b + math.log(1 - weight))

    runs = [results[key].pop("scores") for key in sorted(results)]
    table = {}
    for way in ("static", "dynamic"):
        logs = {n: torch.tensor([run[n][way] for run in runs]).double() for n in names}
        together = {n: logs[n].logsumexp(0) - math.log(len(runs)) for n in names}
        weights = [w / 20 for w in range(1, 20)]
        chosen = [
            min(weights, key=lambda w: score(mix(a, ngram["validation"], w)))
            for a in logs["validation"]
        ]
        table[way] = {
            n: {
                "alone": [score(a) for a in logs[n]],
                "with 5-gram": [
                    score(mix(a, ngram[n], w))
                    for a, w in zip(logs[n], chosen, strict=True)
                ],
                "together": score(together[n]),
            }
            for n in names
        }
        table[way]["weights"] = chosen
        w = min(
            weights,
            key=lambda w: score(mix(together["validation"], ngram["validation"], w)),
        )
        table[way]["weight together"] = w
        for n in names:
            table[way][n]["together with 5-gram"] = score(mix(together[n], ngram[n], w))
    return table


# --- What is run, and what is kept of it ---------------------------------------------


def jobs_of(kind: str, hidden: int, name: str = "", **options) -> dict:
    label = f"{kind} {hidden} {name}".strip()
    return {
        f"{label} {seed}": (
            recurrent,
            {"kind": kind, "hidden": hidden, "seed": seed, **options},
        )
        for seed in SEEDS
    }


JOBS: dict[str, dict[str, tuple[Callable, dict]]] = {
    "classic": {
        f"{scheme} {seed}": (classic, {"scheme": scheme, "seed": seed})
        for seed in CLASSIC_SEEDS
        for scheme in ("sequential", "random")
    },
    "whole_book": {
        "n-grams": (ngrams, {}),
        **jobs_of("LSTM", 512, dropout=0.5, input_dropout=0.1, epochs=30, scores=True),
        **jobs_of("LSTM", 512, "plain", epochs=8),
        **jobs_of("LSTM", 256, "plain", epochs=16),
        **jobs_of("GRU", 256, "plain", epochs=16),
        **jobs_of("RNN", 256, "plain", epochs=16, rate=2e-3),
    },
    "truncation": {
        key: job
        for steps in (2, 5, 20, 80)
        for key, job in jobs_of(
            "LSTM", 128, f"window {steps}", steps=steps, dropout=0.2, epochs=20
        ).items()
    },
    **names.JOBS,
    **memory.JOBS,
    **counts.JOBS,
    **layers.JOBS,
    **gates.JOBS,
}


def checksums(name: str) -> dict:
    """Return the checksum of the data that an experiment runs on."""
    if name == "lab_b":  # draws its sequences
        return {}
    if name.startswith(("names", "lab_d")):
        listed = {k: v for k, v in datasets.CHECKSUMS.items() if k.startswith("names/")}
        sums = "".join(f"{v}  {k}\n" for k, v in sorted(listed.items()))
        return {"sha256 of the SHA256SUMS of names/": _sha256(sums.encode())}
    data = datasets.time_machine_path().read_bytes()
    return {"sha256 of timemachine.txt": _sha256(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def provenance(name: str) -> dict:
    named = {options.get("seed") for _, options in JOBS[name].values()} - {None}
    return {
        "command": f"python -m companion.experiments {name}",
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "threads per job": 1,
        "seeds": sorted(named or SEEDS),
        **checksums(name),
    }


def run_job(experiment: str, key: str) -> dict:
    torch.set_num_threads(1)
    function, options = JOBS[experiment][key]
    return function(**options)


def record(experiment: str, workers: int, fresh: bool) -> Path:
    if datasets.origin()[0] != "real":
        raise SystemExit("A record needs the real data: set COMPANION_DATA.")
    kept = ROOT / "_build" / "experiments" / experiment
    if fresh:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    results = {}
    with ProcessPoolExecutor(workers) as pool:
        running = {}
        for key in JOBS[experiment]:
            file = kept / f"{key}.json"
            if file.exists():
                results[key] = json.loads(file.read_text())
            else:
                running[pool.submit(run_job, experiment, key)] = key
        for future in tqdm(as_completed(running), total=len(running), unit="job"):
            key = running[future]
            results[key] = future.result()
            (kept / f"{key}.json").write_text(json.dumps(results[key]))
    content = {"provenance": provenance(experiment)}
    if experiment == "whole_book":
        large = {key: r for key, r in results.items() if "scores" in r}
        content["combinations"] = combinations(large)
    if experiment == "lab_d_folds":
        content["frozen"] = name_contest.frozen(results)
    if experiment == "lab_d":
        content.update(name_contest.summary(results))
    if experiment == "lab_a":
        content.update(counts.summary(results))
    if experiment == "lab_a_search":
        for result in results.values():
            result.pop("scores", None)
    content["results"] = {key: results[key] for key in JOBS[experiment]}
    target = ROOT / "companion" / "data" / "records" / f"{experiment}.json"
    target.parent.mkdir(exist_ok=True)
    rounded = json.loads(json.dumps(content), parse_float=lambda x: round(float(x), 6))
    target.write_text(json.dumps(rounded, indent=1) + "\n")
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m companion.experiments", description=__doc__.split("\n")[0]
    )
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="forget finished jobs")
    options = parser.parse_args(arguments)
    print(record(options.name, options.workers, options.fresh))
