"""Chapter 5's layers at equal width, over six seeds, in float64.

``python -m companion.experiments layers`` records them. The start of every run is drawn
by ``torch.rand`` and ``torch.randn`` in float64, which give the same numbers on every
processor tried; ``uniform_``, by which PyTorch's layers draw, rounds differently.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import batching
from companion.experiments.scoring import corpus
from companion.language_model import LanguageModel
from companion.measuring import evaluate, perplexity
from companion.rnn import RNN
from companion.training import train_epoch

SEEDS = range(6)
WIDTH, EPOCHS, EVERY = 128, 40, 10
LAYERS = {
    "RNN": (nn.RNN, {}),
    "RNN, both ways": (nn.RNN, {"bidirectional": True}),
    "RNN, 2 layers": (nn.RNN, {"num_layers": 2}),
    "GRU": (nn.GRU, {}),
    "LSTM": (nn.LSTM, {}),
}
# How many biases a unit has, and whether they begin at random: PyTorch's RNN has two
# that do, chapter 2's one that begins at zero.
BIASES = {
    "two, random": (2, True),
    "two, zero": (2, False),
    "one, random": (1, True),
    "one, zero": (1, False),
}


def redraw_(layer: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw parameters as PyTorch's recurrent layers do: uniform within 1/sqrt(H)."""
    for parameter in layer.parameters():
        draw = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.data = (2 * draw - 1) * layer.hidden_size**-0.5
    return layer


def with_biases(layer: nn.RNN, number: int, random: bool) -> nn.Module:
    """Return a layer with the same weights, and biases that are fewer or begin at 0.

    One random bias is the sum of the two that the layer has.
    """
    biases = layer.bias_ih_l0, layer.bias_hh_l0
    if not random:
        for bias in biases:
            bias.data = torch.zeros_like(bias)
    if number == 2:
        return layer
    single = RNN(layer.input_size, layer.hidden_size, dtype=layer.weight_ih_l0.dtype)
    single.W_xh.data = layer.weight_ih_l0.detach().T.contiguous()
    single.W_hh.data = layer.weight_hh_l0.detach().T.contiguous()
    single.b_h.data = sum(biases).detach()
    return single


def train_layer(
    layer: nn.Module, V: int, ids: Tensor, seed: int, biases=None, epochs=EPOCHS
) -> tuple[LanguageModel, dict]:
    """Train a language model around a layer, whose parameters are drawn anew."""
    train, held_out = ids[:10_000], ids[10_000:20_000]
    generator = torch.Generator().manual_seed(seed)
    layer = redraw_(layer, generator)
    if biases is not None:
        layer = with_biases(layer, *biases)
    model = LanguageModel(layer, V, generator=generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    carry = not getattr(layer, "bidirectional", False)
    run = {"train": [], "held_out": []}
    for epoch in range(1, epochs + 1):
        batches = batching.sequential_batches(train, 32, 35)
        loss, _, _ = train_epoch(model, batches, optimiser, carry_state=carry)
        run["train"].append(perplexity(loss))
        if epoch % EVERY == 0:
            nats = evaluate(model, held_out, look_ahead=not carry)
            run["held_out"].append(perplexity(nats))
    return model, run


@torch.no_grad()
def without_a_future(model: LanguageModel, ids: Tensor, fresh: bool) -> float:
    """Score a text that is read one token at a time.

    A half that reads backward has then nothing to begin with. With ``fresh`` its state
    is put back to zeros before each token, as it was in training; else it keeps the
    one in which it ended.
    """
    model.eval()
    state, total = None, 0.0
    for token, target in pairwise(ids):
        logits, state = model(token.reshape(1, 1), state)
        if fresh:
            state[1] = 0
        total += F.cross_entropy(logits, target.reshape(1)).item()
    return perplexity(total / (len(ids) - 1))


def layers(
    name: str, seed: int, biases: str | None = None, epochs=EPOCHS, alone=2000
) -> dict:
    """Train one layer, and have it read one character at a time in the end.

    "train" is the running mean of each epoch, "held_out" the score after every tenth,
    "alone" that of so many held-out characters, read one at a time: with the state
    carried on and, for two directions, with a fresh state of the backward half.
    """
    ids, vocab = corpus(join="")
    kind, options = LAYERS[name]
    layer = kind(len(vocab), WIDTH, dtype=torch.float64, **options)
    start = None if biases is None else BIASES[biases]
    model, run = train_layer(layer, len(vocab), ids, seed, start, epochs)
    ways = (False, True) if "bidirectional" in options else (False,)
    run["alone"] = [
        without_a_future(model, ids[10_000 : 10_000 + alone], way) for way in ways
    ]
    return run


RUNS = {
    "RNN": {"name": "RNN"},
    **{start: {"name": "RNN", "biases": start} for start in list(BIASES)[1:]},
    **{name: {"name": name} for name in list(LAYERS)[1:]},
}
JOBS = {
    "layers": {
        f"{key} {seed}": (layers, options | {"seed": seed})
        for key, options in RUNS.items()
        for seed in SEEDS
    }
}
