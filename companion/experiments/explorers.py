"""Make the weights of the explorers: `python -m companion.experiments.explorers`.

Each file below ``book/_static/explorers`` that ends in ``-weights.js`` is written here,
from the real data and the companion's own code, in float64 and on one thread. It is a
script and no JSON, since a page that was opened as a file may not fetch.
"""

import argparse
import base64
import copy
import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from companion import batching, datasets
from companion.laboratory.fast import FastRNN
from companion.laboratory.kneser_ney import KneserNey
from companion.language_model import LanguageModel
from companion.text import Vocab, clean
from companion.training import evaluate, fit, perplexity

FOLDER = Path(__file__).parents[2] / "book" / "_static" / "explorers"
PAGE = 2000  # characters that the writer is trained on, and as many that follow
EPOCHS = 0, 5, 10, 20, 50, 100, 200, 400


def corpus() -> tuple[Tensor, Vocab]:
    text = clean(datasets.time_machine())
    vocab = Vocab(text)
    return vocab.encode(text), vocab


def pack(tensor: Tensor, dtype: torch.dtype = torch.float16) -> dict:
    """Describe a tensor as JavaScript reads it: its shape, and its bytes in base64."""
    raw = tensor.detach().to(dtype).contiguous().numpy()
    name = str(dtype).removeprefix("torch.")
    packed = base64.b64encode(raw.astype(raw.dtype.newbyteorder("<")).tobytes())
    return {"shape": list(tensor.shape), name: packed.decode()}


def unpack(packed: dict) -> Tensor:
    """Return the float64 numbers that :func:`pack` has left."""
    name = next(key for key in packed if key != "shape")
    raw = bytearray(base64.b64decode(packed[name]))
    tensor = torch.frombuffer(raw, dtype=getattr(torch, name))
    return tensor.reshape(packed["shape"]).double()


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
    like = {"generator": generator, "scale": H**-0.5}
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
        packed = {name: pack(parameter) for name, parameter in names(model).items()}
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


def surnames() -> dict:
    """Chapter 8 and the cover: the classifier that ships."""
    from companion.experiments.explorer_names import (
        names,  # which packs as this module does
    )

    return names()


EXPLORERS = {"writer": writer, "names": surnames}


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
