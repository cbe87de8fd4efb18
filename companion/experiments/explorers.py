"""Make the weights of the explorers: `python -m companion.experiments.explorers`.

Each file below ``book/_static/explorers`` that ends in ``-weights.js`` is written here,
from the real data and the companion's own code, in float64 and on one thread. It is a
script and no JSON, since a page that was opened as a file may not fetch.
"""

import argparse
import copy
import json
import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from companion import batching
from companion.experiments import explorer_names
from companion.experiments.packing import pack, unpack
from companion.experiments.scoring import corpus
from companion.laboratory.fast import FastRNN
from companion.laboratory.kneser_ney import KneserNey
from companion.language_model import LanguageModel
from companion.lstm import LSTM
from companion.measuring import evaluate, perplexity
from companion.rnn import RNN
from companion.text import Vocab, one_hot
from companion.training import fit, train_epoch

FOLDER = Path(__file__).parents[2] / "book" / "_static" / "explorers"
PAGE = 2000  # characters that the writer is trained on, and as many that follow
EPOCHS = 0, 5, 10, 20, 50, 100, 200, 400


def pack_all(model: LanguageModel, dtype: torch.dtype = torch.float16) -> dict:
    return {name: pack(parameter, dtype) for name, parameter in names(model).items()}


def names(model: LanguageModel) -> dict[str, nn.Parameter]:
    """Name the parameters of a model as the explorers do: without their layer."""
    named = model.named_parameters()
    return {name.removeprefix("layer."): parameter for name, parameter in named}


def fill(model: LanguageModel, packed: dict) -> LanguageModel:
    """Put packed weights into a model of the right shape."""
    for name, parameter in names(model).items():
        parameter.data.copy_(unpack(packed[name]))
    return model


def tokens(vocab: Vocab) -> str:
    """Return one character for each token, ``?`` for the unknown."""
    return "?" + "".join(vocab.tokens[1:])


def new_writer(H: int = 80, seed: int = 0) -> tuple[LanguageModel, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    like = {"generator": generator, "init_std": H**-0.5}
    V = 28
    return LanguageModel(
        FastRNN(V, H, dtype=torch.float64, **like), V, **like
    ), generator


def writer(epochs: tuple[int, ...] = EPOCHS) -> dict:
    """Chapter 4: one small network at some moments of its training on one page."""
    ids, vocab = corpus()
    train, held_out = ids[:PAGE], ids[PAGE : 2 * PAGE]
    model, generator = new_writer()
    snapshots = []

    def keep(epoch: int) -> None:
        packed = pack_all(model)
        kept = fill(copy.deepcopy(model), packed)  # what the reader will get
        scores = {
            "train": perplexity(evaluate(kept, train)),
            "held_out": perplexity(evaluate(kept, held_out)),
        }
        snapshots.append({"epoch": epoch} | scores | {"weights": packed})
        print(epoch, *(f"{score:.2f}" for score in scores.values()), file=sys.stderr)

    keep(0)
    fit(
        model,
        lambda: batching.random_batches(train, 8, 35, generator=generator),
        torch.optim.Adam(model.parameters(), lr=0.003),
        max(epochs),
        carry_state=False,
        after_epoch=lambda epoch: epoch.number in epochs and keep(epoch.number),
    )
    scores = {}
    for order in range(1, 8):
        p = KneserNey(train, order, len(vocab)).probabilities(held_out)
        scores[order] = perplexity(-p.log().mean().item())
    return {
        "tokens": tokens(vocab),
        "train": vocab.decode(train),
        "held_out": vocab.decode(held_out),
        "order": min(scores, key=scores.get),
        "best": min(snapshots, key=lambda s: s["held_out"])["epoch"],
        "snapshots": snapshots,
    }


def new_reader() -> LanguageModel:
    like = {"generator": torch.Generator().manual_seed(0), "init_std": 64**-0.5}
    layer = LSTM(28, 64, forget_bias=1.0, dtype=torch.float64, **like)
    return LanguageModel(layer, 28, **like)


@torch.no_grad()
def gates(layer: LSTM, inputs: Tensor, state=None) -> tuple[Tensor, ...]:
    """Return i, f, candidate and o, (T, N, H) each, of a layer that reads (T, N, V)."""
    outputs, _ = layer(inputs, state)
    first = outputs[0] * 0 if state is None else state[0]
    before = torch.cat((first[None], outputs[:-1]))
    sums = inputs @ layer.W_x + before @ layer.W_h + layer.b
    i, f, candidate, o = sums.chunk(4, -1)
    return i.sigmoid(), f.sigmoid(), candidate.tanh(), o.sigmoid()


def cells(epochs: int = 4) -> dict:
    """Chapter 6: its reader, on a line that it has not seen, after 1,000 others."""
    ids, vocab = corpus()
    cut = len(ids) * 9 // 10
    train, piece = ids[:cut], ids[cut : cut + 4000]
    model, generator = new_reader(), torch.Generator().manual_seed(0)
    fit(
        model,
        lambda: batching.sequential_batches(train, 32, 50, generator=generator),
        torch.optim.Adam(model.parameters(), lr=6e-3),
        epochs,
        carry_state=True,
    )
    packed = pack_all(model, torch.float32)
    kept = fill(copy.deepcopy(model), packed).layer  # what the reader will get
    inputs = one_hot(piece[:, None], 28, dtype=torch.float64)
    with torch.no_grad():
        _, state = kept(inputs[:1000])
    half_lives = math.log(2) / -gates(kept, inputs)[1].log().mean((0, 1))
    return {
        "tokens": tokens(vocab),
        "line": vocab.decode(piece[1000:1030]),
        "state": [pack(part[0], torch.float32) for part in state],
        "half_lives": pack(half_lives, torch.float32),
        "weights": packed,
    }


KINDS = "untrained", "orthogonal", "trained"


def new_speaker(kind: str = "untrained") -> tuple[LanguageModel, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    like = {"generator": generator, "init_std": (3 * 64) ** -0.5}
    model = LanguageModel(RNN(28, 64, dtype=torch.float64, **like), 28, **like)
    if kind == "orthogonal":
        nn.init.orthogonal_(model.layer.W_hh, generator=generator)
    return model, generator


def triangle(epochs: int = 3) -> dict:
    """Chapter 7: its three networks of seed 0, and a line that none has read."""
    ids, vocab = corpus()
    seen, unseen = ids.split((len(ids) * 3 // 5, len(ids) - len(ids) * 3 // 5))
    networks = {}
    for kind in KINDS:
        model, generator = new_speaker(kind)
        adam = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(epochs if kind == "trained" else 0):
            cut = batching.sequential_batches(seen, 32, 35, generator=generator)
            train_epoch(model, cut, adam, carry_state=True)
        networks[kind] = pack_all(model, torch.float32)
    line = vocab.decode(unseen[:25])  # 24 steps
    return {"tokens": tokens(vocab), "line": line, "networks": networks}


EXPLORERS = {
    "writer": writer,
    "cells": cells,
    "triangle": triangle,
    "names": explorer_names.names,
}


def file_of(name: str) -> Path:
    return FOLDER / f"{name}-weights.js"


def read(name: str) -> dict:
    """Return what a file of weights holds."""
    text = file_of(name).read_text(encoding="utf-8")
    return json.loads(text[text.index("= ") + 2 : text.rindex(";")])


def write(name: str) -> None:
    made = EXPLORERS[name]()
    origin = (
        f"python -m companion.experiments.explorers {name}, PyTorch {torch.__version__}"
    )
    told = json.dumps(made, separators=(",", ":")).replace('{"epoch"', '\n{"epoch"')
    text = f"/* Made by {origin}. */\nExplorers.weights.{name} = {told};\n"
    file_of(name).write_text(text, encoding="utf-8")
    print(f"{file_of(name).name}: {len(text) / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(EXPLORERS), metavar="NAME")
    torch.set_num_threads(1)
    for name in parser.parse_args().names:
        write(name)


if __name__ == "__main__":
    main()
