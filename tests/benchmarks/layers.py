"""Training steps of the book's layers and of those they are compared with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.laboratory.fast import FastLSTM, FastRNN
from companion.language_model import LanguageModel
from companion.lstm import LSTM
from companion.reference import load_d2l
from companion.rnn import RNN
from tests.benchmarks.ablation import RUNGS, Layer, LSTMLayer

N, T, V = 32, 35, 28
RNN_SIZE, LSTM_SIZE = 512, 256
#: Rows and columns of the large product that gives the machine's rate.
LARGE = 1024


def operations(hidden: int, gates: int) -> int:
    """Count the floating-point operations that the matrix products of a step need.

    Forward, T products with the recurrent matrix and T with the output matrix;
    backward, T - 1 and T for the gradients of the states, T and T for those of the
    matrices. One-hot inputs are look-ups and count nothing, nor does anything entry
    by entry.

    Args:
        hidden: H.
        gates: Matrices side by side in the recurrent one: 1 (RNN) or 4 (LSTM).
    """
    recurrent = 2 * N * gates * hidden**2
    output = 2 * N * hidden * V
    return (3 * T - 1) * recurrent + 3 * T * output


def transplant(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of one of our layers into its kind from ``torch.nn``."""
    W_x, W_h, b = source.parameters()
    with torch.no_grad():
        target.weight_ih_l0.copy_(W_x.T)
        target.weight_hh_l0.copy_(W_h.T)
        target.bias_ih_l0.copy_(b)
        target.bias_hh_l0.zero_()


def d2l_model(layer: RNN, device: str) -> tuple[Callable, list[Tensor]]:
    """Return d2l's model from scratch and its parameters, with the layer's weights.

    d2l 0.17.0 has the class; parameters, first state and forward pass are handed to it,
    as in the text it accompanies: a product for the input, one for the state and one
    for the output at each step.
    """
    d2l = load_d2l()
    parameters = [p.detach().clone() for p in layer.parameters()]
    parameters += [0.01 * torch.randn(RNN_SIZE, V), torch.zeros(V)]
    parameters = [p.to(device).requires_grad_() for p in parameters]

    def begin(batch_size, hidden, device):
        return (torch.zeros(batch_size, hidden, device=device),)

    def forward(inputs, state, params):
        W_xh, W_hh, b_h, W_hq, b_q = params
        (H,) = state
        outputs = []
        for X in inputs:
            H = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)
            outputs.append(torch.mm(H, W_hq) + b_q)
        return torch.cat(outputs, dim=0), (H,)

    model = d2l.RNNModelScratch(
        V, RNN_SIZE, device, lambda *_: parameters, begin, forward
    )
    return model, parameters


def products_alone(hidden: int, gates: int, device: str) -> Callable[[], None]:
    """Return a function that does the matrix products of a step and nothing else.

    They are the very products of a step with a fast layer (:func:`operations` counts
    them), one after another: the same shapes, the same matrices transposed in memory,
    T (H, 4H) forward and T - 1 backward one at a time, since each waits for the one
    before, that of the recurrent matrix at once; and the three of the output layer.
    Those of single steps are written to memory that is there already. No sum, no
    activation, no look-up: what the layer takes beyond this is all the rest.
    """
    H, width = hidden, gates * hidden
    W_h, W_hq = torch.randn(H, width, device=device), torch.randn(H, V, device=device)
    state = torch.randn(T, N, H, device=device)
    change = torch.randn(T, N, width, device=device)
    error = torch.randn(T * N, V, device=device)
    Z, delta = torch.empty_like(change[0]), torch.empty_like(state[0])

    def run() -> None:
        for H_t in state.unbind():
            torch.mm(H_t, W_h, out=Z)
        torch.mm(state.flatten(0, 1), W_hq)
        torch.mm(error, W_hq.T)
        torch.mm(state.flatten(0, 1).T, error)
        for E_t in change[1:].unbind():
            torch.mm(E_t, W_h.T, out=delta)
        torch.mm(state.flatten(0, 1).T, change.flatten(0, 1))

    return run


def products_onednn(hidden: int, gates: int) -> Callable[[], None]:
    """Return the recurrent products of :func:`products_alone`, done by oneDNN.

    PyTorch gives float32 products to MKL, and those of ``nn.LSTM`` to oneDNN, which
    also multiplies tensors that are in its own layout. Bringing them there and back is
    not timed.
    """
    H, width = hidden, gates * hidden
    W = torch.randn(width, H).to_mkldnn(), torch.randn(H, width).to_mkldnn()
    states = torch.randn(T, N, H)
    change = torch.randn(T, N, width)
    forward = [H_t.to_mkldnn() for H_t in states]
    backward = [E_t.to_mkldnn() for E_t in change[1:]]
    S = states.flatten(0, 1).T.contiguous().to_mkldnn()
    E = change.flatten(0, 1).T.contiguous().to_mkldnn()

    def run() -> None:
        with torch.no_grad():
            for H_t in forward:
                F.linear(H_t, W[0])
            for E_t in backward:
                F.linear(E_t, W[1])
            F.linear(S, E)

    return run


def recurrent_alone(hidden: int, gates: int) -> Callable[[], None]:
    """Return the same products as :func:`products_onednn`, done by MKL."""
    H, width = hidden, gates * hidden
    W_h, state = torch.randn(H, width), torch.randn(T, N, H)
    change = torch.randn(T, N, width)
    Z, delta = torch.empty_like(change[0]), torch.empty_like(state[0])

    def run() -> None:
        for H_t in state.unbind():
            torch.mm(H_t, W_h, out=Z)
        for E_t in change[1:].unbind():
            torch.mm(E_t, W_h.T, out=delta)
        torch.mm(state.flatten(0, 1).T, change.flatten(0, 1))

    return run


def steps(
    device: str = "cpu", rungs: bool = False, compiled: bool = False
) -> dict[str, Callable[[], Tensor]]:
    """Build one training step a contestant, without the optimiser, all on equal terms.

    All contestants of a kind begin with the same weights, ids, targets and carried
    state. A step clears the gradients, computes the loss and its gradients, and returns
    the loss.

    Args:
        device: Where everything lives.
        rungs: Whether the rungs of the ablation run too, and what needs oneDNN.
        compiled: Whether the loops run compiled as well, ``"RNN compiled"`` and
            ``"LSTM compiled"``. Their first step takes minutes, and a C++ compiler.

    Returns:
        Name to step; besides, ``"products of FastRNN"`` and ``"... FastLSTM"``, the
        matrix products of a step alone, and ``"large product"``, one of two large
        float32 matrices.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(V, (N, T + 1), generator=generator).to(device)
    X, targets = ids[:, :-1], ids[:, 1:].T.flatten()

    def step(model: Callable, parameters: list[Tensor], state) -> Callable[[], Tensor]:
        def run() -> Tensor:
            for parameter in parameters:
                parameter.grad = None
            logits, _ = model(X, state)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            return loss.detach()

        return run

    contestants = {}
    for kind, ours, fast, hidden in (
        ("RNN", RNN, FastRNN, RNN_SIZE),
        ("LSTM", LSTM, FastLSTM, LSTM_SIZE),
    ):
        scratch = ours(V, hidden, init_std=hidden**-0.5, generator=generator)
        library = getattr(nn, kind)(V, hidden)
        transplant(scratch, library)
        parts = 1 if kind == "RNN" else 2
        state = tuple(
            torch.rand(N, hidden, generator=generator).to(device) for _ in range(parts)
        )
        stacked = tuple(part[None] for part in state)
        layers = {
            f"{kind} from scratch": scratch,
            f"nn.{kind}": library,
            f"Fast{kind}": fast(V, hidden),
        }
        if rungs and kind == "RNN":
            for name, (function, reads_ids) in RUNGS.items():
                layers[name] = Layer(V, hidden, function, reads_ids)
        elif rungs:
            layers["LSTM by hand"] = LSTMLayer(V, hidden)
        if compiled:
            layers[f"{kind} compiled"] = ours(V, hidden)
            layers[f"{kind} compiled"].compile()
        output_weights = torch.randn(hidden, V, generator=generator) / hidden**0.5
        for name, layer in layers.items():
            first = state
            if layer is library:
                first = stacked[0] if kind == "RNN" else stacked
            else:
                layer.load_state_dict(scratch.state_dict())
            model = LanguageModel(layer, V)
            model.W_hq.data.copy_(output_weights)
            model.to(device)
            contestants[name] = step(model, list(model.parameters()), first)
        if kind == "RNN":
            model, parameters = d2l_model(scratch, device)
            parameters[3].data.copy_(output_weights)
            contestants["d2l from scratch"] = step(model, parameters, state)
        gates = 1 if kind == "RNN" else 4
        contestants[f"products of Fast{kind}"] = products_alone(hidden, gates, device)

    A, B = torch.randn(2, LARGE, LARGE, generator=generator).to(device)
    out = torch.empty_like(A)
    contestants["large product"] = lambda: torch.mm(A, B, out=out)
    if rungs and torch.backends.mkldnn.is_available():
        with_onednn = contestants["nn.LSTM"]

        def without() -> Tensor:
            torch.backends.mkldnn.enabled = False
            try:
                return with_onednn()
            finally:
                torch.backends.mkldnn.enabled = True

        contestants["nn.LSTM without oneDNN"] = without
        contestants["recurrent products, MKL"] = recurrent_alone(LSTM_SIZE, 4)
        contestants["recurrent products, oneDNN"] = products_onednn(LSTM_SIZE, 4)
    return contestants


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """Turn seconds a step into the ratios that are tracked, higher is better.

    Args:
        seconds: Seconds of each contestant of :func:`steps`, all of the same round.
    """
    ceiling = 2 * LARGE**3 / seconds["large product"]
    rnn = operations(RNN_SIZE, 1) / seconds["FastRNN"]
    lstm = operations(LSTM_SIZE, 4) / seconds["FastLSTM"]
    return {
        "rnn_vs_nn_rnn": seconds["nn.RNN"] / seconds["FastRNN"],
        "rnn_vs_d2l_scratch": seconds["d2l from scratch"] / seconds["FastRNN"],
        "rnn_share_of_products": seconds["products of FastRNN"] / seconds["FastRNN"],
        "rnn_share_of_matmul_ceiling": rnn / ceiling,
        "lstm_vs_nn_lstm": seconds["nn.LSTM"] / seconds["FastLSTM"],
        "lstm_share_of_products": seconds["products of FastLSTM"] / seconds["FastLSTM"],
        "lstm_share_of_matmul_ceiling": lstm / ceiling,
    }


def to_library(seconds: dict[str, float]) -> dict[str, float]:
    """Return how many times as fast as PyTorch's layer each contestant is."""
    return {
        name: seconds["nn.LSTM" if "LSTM" in name else "nn.RNN"] / time
        for name, time in seconds.items()
        if "product" not in name or name in RUNGS
    }
