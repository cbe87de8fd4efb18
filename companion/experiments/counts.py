"""The long experiments of laboratory A: counts against networks on the whole book.

Run by ``python -m companion.experiments``, with ``lab_a_search``, which looks at the
validation text alone, or ``lab_a``, the one evaluation on the test text.
"""

import copy
import math
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import batching, datasets
from companion.clipping import clip_grad_norm_
from companion.laboratory.direct import Contexts, DirectLanguageModel
from companion.laboratory.kneser_ney import KneserNey
from companion.laboratory.ngram import WittenBell
from companion.language_model import LanguageModel, detach_state
from companion.text import Vocab, clean
from companion.training import evaluate, perplexity

SEEDS = range(5)
TOKENS = 1600  # of a minibatch
PARTS = ("validation", "test")


def parts() -> tuple[Tensor, Tensor, Tensor, Vocab]:
    """Return the first 80 % of the book, the next and the last 10 %, as ids."""
    text = clean(datasets.time_machine(), join=" ")
    vocab = Vocab(text)
    ids = vocab.encode(text)
    a, b = len(ids) * 8 // 10, len(ids) * 9 // 10
    return ids[:a], ids[a:b], ids[b:], vocab


def score(logs: Tensor) -> float:
    return math.exp(-logs.mean())


# --- Networks ------------------------------------------------------------------------


class Window(nn.Module):
    """Feed-forward units in place of a recurrent layer: they see the last few tokens.

    The state it hands on is those tokens but one, so that a text may be cut anywhere.
    """

    def __init__(self, vocab_size: int, hidden: int, width: int):
        super().__init__()
        self.hidden_size, self.width = hidden, width
        self.first = nn.Linear(vocab_size * width, hidden)
        self.second = nn.Linear(hidden, hidden)

    def forward(self, inputs: Tensor, state: Tensor | None = None):
        """Return the units at every step, and the last tokens."""
        if state is None:
            state = inputs.new_zeros(self.width - 1, *inputs.shape[1:])
        both, steps = torch.cat([state, inputs]), len(inputs)
        seen = [both[k : k + steps] for k in range(self.width)]
        units = self.first(torch.cat(seen, -1)).relu()
        return self.second(units).tanh(), both[steps:]


def build(
    train: Tensor,
    vocab_size: int,
    hidden: int,
    longest: int,
    folds: int,
    dropout: float,
    input_dropout: float,
    recurrent: bool = True,
) -> LanguageModel:
    """Return a network, with direct connections unless `longest` is 0."""
    if recurrent:
        layer = nn.LSTM(vocab_size, hidden)
    else:
        layer = Window(vocab_size, hidden, longest)
    options = {
        "init_std": 1 / math.sqrt(hidden),
        "dropout": dropout,
        "input_dropout": input_dropout,
    }
    if not longest:
        return LanguageModel(layer, vocab_size, **options)
    contexts = Contexts(train, longest, vocab_size)
    return DirectLanguageModel(layer, contexts, folds, **options)


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], nn.Parameter]:
    """Return what the recurrent network learns, and the tables or None."""
    tables = getattr(model, "tables", None)
    learned = [p for p in model.parameters() if p.requires_grad]
    return [p for p in learned if p is not tables], tables


def learning(model: nn.Module, X: Tensor, targets: Tensor, state) -> tuple:
    """Return the losses of one chunk: of the network, and of its table."""
    if isinstance(model, DirectLanguageModel):
        return model.losses(X, targets[None], state)[:2]
    return F.cross_entropy(model(X, state)[0], targets), 0


def log_probabilities(
    model: nn.Module,
    ids: Tensor,
    *,
    rate: float = 0.0,
    table_rate: float = 0.0,
    sums: Tensor | None = None,
    chunk: int = 20,
) -> Tensor:
    """Natural logarithm of the probability of each token but the first.

    With rates above 0 the model learns from each chunk *after* it has been scored: the
    recurrent part by a clipped gradient step on the mean loss (Mikolov et al. 2010;
    Krause et al. 2018), the table by Adagrad, whose sums of squares go on from training
    and whose gradients are weighed as the tokens of a training minibatch were.
    """
    model = copy.deepcopy(model).eval()
    recurrent, tables = split_parameters(model)
    optimiser = torch.optim.SGD(recurrent, rate)
    adagrad = None
    if tables is not None and table_rate:
        adagrad = torch.optim.Adagrad([tables], table_rate)
        adagrad.state[tables]["sum"] = sums.clone()
    state, logs = None, []
    for start in range(0, len(ids) - 1, chunk):
        targets = ids[start + 1 : start + 1 + chunk]
        X, before = ids[start : start + len(targets)][None], detach_state(state)
        with torch.no_grad():
            logits, state = model(X, before)
        losses = F.cross_entropy(logits, targets, reduction="none")
        logs.append(-losses.double())
        if not (rate or table_rate):
            continue
        model.zero_grad()
        loss, of_table = learning(model, X, targets, before)
        (loss + of_table * (len(targets) / TOKENS)).backward()
        if adagrad:
            adagrad.step()
        if rate:
            clip_grad_norm_(recurrent, 1.0)
            optimiser.step()
    return torch.cat(logs)


def network(
    hidden: int,
    seed: int,
    *,
    longest: int = 6,
    folds: int = 2,
    dropout: float = 0.0,
    input_dropout: float = 0.1,
    epochs: int = 8,
    rate: float = 4e-3,
    table_rate: float = 0.3,
    decay: float = 0.5,
    dynamic: tuple[float, float] | None = None,
    test: bool = False,
    recurrent_layer: bool = True,
    gates: bool = True,
) -> dict:
    """Train a network, with direct connections unless `longest` is 0.

    Adam with one learning-rate cycle for the recurrent part, of which the exponential
    moving average (decay 0.99 a step, less at first) is what is measured; Adagrad for
    the tables, with the penalty ``decay * sum(E[row] ** 2) / counts[row]``. The last
    epoch counts: none is chosen. The test text is read only if asked for. Without a
    recurrent layer the hidden units see the last `longest` tokens; without gates, every
    gate stays at 1.
    """
    train, validation, test_text, vocab = parts()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    began = time.process_time()
    sizes = (len(vocab), hidden, longest, folds)
    model = build(train, *sizes, dropout, input_dropout, recurrent_layer)
    if not gates:
        for p in (model.W_hg, model.W_sg, model.b_g):
            p.requires_grad_(False)
    recurrent, tables = split_parameters(model)
    optimiser = torch.optim.Adam(recurrent, rate)
    adagrad = None if tables is None else torch.optim.Adagrad([tables], table_rate)
    total = epochs * (len(train) // TOKENS + 1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=total, pct_start=0.15, final_div_factor=50
    )
    average, steps = [p.detach().clone() for p in recurrent], 0
    curve, measuring = [], 0.0
    for epoch in range(1, epochs + 1):
        model.train()
        state, nats, batches = None, 0.0, 0
        for X, Y in batching.sequential_batches(train, 32, 50, generator=generator):
            state, extra = detach_state(state), 0
            if tables is None:
                logits, state = model(X, state)
                loss = F.cross_entropy(logits, Y.T.reshape(-1))
            else:
                loss, of_tables, penalty, state = model.losses(X, Y, state)
                extra = of_tables + decay * penalty
            model.zero_grad()
            (loss + extra).backward()
            clip_grad_norm_(recurrent, 1.0)
            optimiser.step()
            cycle.step()
            if adagrad:
                adagrad.step()
            steps += 1
            for mean, p in zip(average, recurrent, strict=True):
                mean.lerp_(p.detach(), 1 - min(0.99, steps / (steps + 10)))
            nats, batches = nats + loss.item(), batches + 1
        began_measuring = time.process_time()
        last = swap(recurrent, average)
        curve.append(
            {
                "epoch": epoch,
                "train": perplexity(nats / batches),
                "validation": perplexity(evaluate(model, validation)),
            }
        )
        measuring += time.process_time() - began_measuring
        curve[-1]["seconds"] = time.process_time() - began - measuring
        if epoch < epochs:
            swap(recurrent, last)
    result = {
        "curve": curve,
        "seconds": curve[-1]["seconds"],
        "parameters": {
            "recurrent": sum(p.numel() for p in recurrent),
            "rows": 0 if tables is None else model.contexts.size * len(vocab),
        },
        "scores": {},
    }
    sums = None if tables is None else adagrad.state[tables]["sum"]
    for part, text in zip(PARTS, (validation, test_text), strict=True):
        if part == "test" and not test:
            continue
        logs = {"static": log_probabilities(model, text)}
        if dynamic:
            logs["dynamic"] = log_probabilities(
                model, text, rate=dynamic[0], table_rate=dynamic[1], sums=sums
            )
        result[part] = {way: score(values) for way, values in logs.items()}
        result["scores"][part] = {way: v.tolist() for way, v in logs.items()}
    return result


def swap(parameters: list[nn.Parameter], values: list[Tensor]) -> list[Tensor]:
    """Put values into parameters, and return copies of what stood there."""
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, value in zip(parameters, values, strict=True):
            p.copy_(value)
    return before


# --- Counts --------------------------------------------------------------------------


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


# --- Mixtures ------------------------------------------------------------------------


def mix(logs: list[Tensor], weights: list[float]) -> Tensor:
    """Logarithm of a weighted mean of probabilities."""
    stacked = torch.stack([a + math.log(w) for a, w in zip(logs, weights, strict=True)])
    return stacked.logsumexp(0)


def mixed(a: dict[str, Tensor], b: dict[str, Tensor]) -> dict:
    """Mix two models, the weight of the first chosen on the validation text."""
    weight = min(
        (w / 20 for w in range(1, 20)),
        key=lambda w: score(mix([a["validation"], b["validation"]], [w, 1 - w])),
    )
    found = {part: score(mix([a[part], b[part]], [weight, 1 - weight])) for part in a}
    return {"weight": weight, **found}


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
    together = {
        part: mix([a[part] for a in networks], [1 / len(networks)] * len(networks))
        for part in PARTS
    }
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
    for result in results.values():
        result.pop("scores")
    return found


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
