"""What the network of chapter 2 writes after training, and how far it remembers then.

Run by ``python -m companion.experiments trained``.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import batching
from companion.experiments.scoring import corpus
from companion.generation import generate
from companion.laboratory.fast import FastRNN
from companion.language_model import LanguageModel
from companion.measuring import evaluate, perplexity
from companion.text import one_hot
from companion.training import fit

SEEDS = range(3)
DISTANCES = (1, 2, 3, 5, 7, 10, 15, 20, 35, 50, 100)


def gains(layer: nn.Module, ids: Tensor, places: int = 5, steps: int = 35) -> list:
    """Common logarithm of the memory gain after 1 ... ``steps`` characters.

    The mean over some places in the text. Before the nudge the layer has read 50
    characters, so that it is where reading leads it and not at zero. In float64.
    """
    W_xh, W_hh, b_h = (p.detach().double() for p in (layer.W_xh, layer.W_hh, layer.b_h))
    hidden, rows = len(W_hh), []
    for place in range(places):
        start = place * (len(ids) // places)
        inputs = one_hot(ids[start : start + 50 + steps], len(W_xh), dtype=W_hh.dtype)
        h, J = W_hh.new_zeros(hidden), torch.eye(hidden, dtype=W_hh.dtype)
        row = []
        for t, x in enumerate(inputs):
            h = torch.tanh(x @ W_xh + h @ W_hh + b_h)
            if t >= 50:
                J = J @ (W_hh * (1 - h**2))
                row.append((J.norm() / math.sqrt(hidden)).log10())
        rows.append(torch.stack(row))
    return torch.stack(rows).mean(0).tolist()


@torch.no_grad()
def read_out(layer: nn.Module, ids: Tensor, pieces: int = 3000) -> list:
    """Share of characters read right, 0 ... 34 back from the last of 35, from h_35.

    A linear read-out by ridge regression, fitted on the first two thirds of the pieces
    and scored on the rest; the best of four penalties at each distance. The reader sees
    the state with noise of a millionth of its size.
    """
    layer, vocab_size = copy.deepcopy(layer).double(), len(layer.W_xh)
    windows = ids[: len(ids) // 35 * 35].reshape(-1, 35)[:pieces]
    train = len(windows) * 2 // 3
    _, (h,) = layer(windows.T)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(h.shape, generator=generator, dtype=h.dtype)
    seen = torch.cat((h / h.std() + 1e-6 * noise, h.new_ones(len(h), 1)), dim=1)
    U, S, Vt = torch.linalg.svd(seen[:train], full_matrices=False)
    readers = [
        seen[train:] @ (Vt.T * (S / (S**2 + penalty * S[0] ** 2))) @ U.T
        for penalty in (1e-14, 1e-10, 1e-6, 1e-2)
    ]
    shares = []
    for target in windows.flip(1).T:
        rows = one_hot(target[:train], vocab_size, dtype=h.dtype)
        found = [(reader @ rows).argmax(1) == target[train:] for reader in readers]
        shares.append(max(hit.double().mean().item() for hit in found))
    return shares


@torch.no_grad()
def with_context(model: nn.Module, ids: Tensor, length: int, places: int = 2000):
    """Perplexity of characters of which only the last ``length`` before are known.

    The model begins with a state of zeros, ``length`` characters before the one that is
    scored; the scored characters are the same for every length up to 100.
    """
    ends = torch.arange(places) * ((len(ids) - 101) // places) + 100
    windows = ids[ends[:, None] + torch.arange(-length, 0)]  # (places, length)
    logits, _ = model(windows)
    return perplexity(F.cross_entropy(logits[-places:], ids[ends]).item())


def trained(start: str, seed: int, epochs: int = 10, hidden: int = 512) -> dict:
    """Train on the first nine tenths of the book, measure on the last tenth.

    Weights begin with a standard deviation of 0.01; with ``start`` "orthogonal" W_hh
    begins orthogonal instead. Adam, whose rate falls along a cosine from 0.002 to 0,
    gradients clipped at 1, sequential minibatches of 32 times 35.
    """
    ids, vocab = corpus()
    train, held_out = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
    generator = torch.Generator().manual_seed(seed)
    layer = FastRNN(len(vocab), hidden, generator=generator)
    model = LanguageModel(layer, len(vocab), generator=generator)
    if start == "orthogonal":
        nn.init.orthogonal_(layer.W_hh, generator=generator)
    before = gains(layer, held_out)
    read = read_out(layer, ids)
    rho = [(layer.W_hh.norm() / math.sqrt(hidden)).item()]
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    curve = []

    def note(epoch):
        cosine.step()
        curve.append([perplexity(epoch.train), perplexity(evaluate(model, held_out))])

    fit(
        model,
        lambda: batching.sequential_batches(train, 32, 35, generator=generator),
        optimiser,
        epochs,
        carry_state=True,
        after_epoch=note,
    )
    rho.append((layer.W_hh.norm() / math.sqrt(hidden)).item())
    return {
        "curve": curve,
        "rho": rho,
        "log10 gain": {"before": before, "after": gains(layer, held_out)},
        "read": {"before": read, "after": read_out(layer, ids)},
        "context": {str(n): with_context(model, held_out, n) for n in DISTANCES},
        "greedy": generate("time traveller ", 200, model, vocab),
        "drawn": generate(
            "time traveller ", 200, model, vocab, temperature=1, generator=generator
        ),
    }


JOBS = {
    "trained": {
        f"{start} {seed}": (trained, {"start": start, "seed": seed})
        for start in ("normal", "orthogonal")
        for seed in SEEDS
    }
}
