"""Training steps of the book's layers and of those they are compared with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.bptt import FastLSTM, FastRNN
from companion.language_model import LanguageModel
from companion.lstm import LSTM
from companion.reference import load_d2l
from companion.rnn import RNN

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

    They are those that :func:`operations` counts, with the shapes and in the order in
    which the fast layers need them: what is left to such a layer is the difference.
    """
    H, width = hidden, gates * hidden
    W_h = torch.randn(H, width, device=device)
    state, change = torch.randn(T, N, H, device=device), torch.randn(T, N, width)
    change, W_hT = change.to(device), W_h.T.contiguous()
    W_hq, error = torch.randn(H, V, device=device), torch.randn(T * N, V, device=device)

    def run() -> None:
        for t in range(T):
            state[t] @ W_h
        state.flatten(0, 1) @ W_hq
        error @ W_hq.T
        state.flatten(0, 1).T @ error
        for t in range(1, T):
            change[t] @ W_hT
        state.flatten(0, 1).T @ change.flatten(0, 1)

    return run


def steps(device: str = "cpu") -> dict[str, Callable[[], Tensor]]:
    """Build one training step a contestant, without the optimiser, all on equal terms.

    All contestants of a kind begin with the same weights, ids, targets and carried
    state. A step clears the gradients, computes the loss and its gradients, and returns
    the loss.

    Args:
        device: Where everything lives.

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
        scratch = ours(V, hidden, scale=hidden**-0.5, generator=generator)
        library = getattr(nn, kind)(V, hidden)
        transplant(scratch, library)
        quick = fast(V, hidden)
        quick.load_state_dict(scratch.state_dict())
        parts = 1 if kind == "RNN" else 2
        state = tuple(
            torch.rand(N, hidden, generator=generator).to(device) for _ in range(parts)
        )
        stacked = tuple(part[None] for part in state)
        layers = {
            f"{kind} from scratch": (scratch, state),
            f"nn.{kind}": (library, stacked[0] if kind == "RNN" else stacked),
            f"Fast{kind}": (quick, state),
        }
        output_weights = torch.randn(hidden, V, generator=generator) / hidden**0.5
        for name, (layer, first) in layers.items():
            model = LanguageModel(layer, V)
            model.W_hq.data.copy_(output_weights)
            model.to(device)
            contestants[name] = step(model, list(model.parameters()), first)
        if kind == "RNN":
            model, parameters = d2l_model(scratch, device)
            parameters[3].data.copy_(output_weights)
            contestants["d2l from scratch"] = step(model, parameters, state)
        contestants[f"products of Fast{kind}"] = products_alone(
            hidden, 1 if kind == "RNN" else 4, device
        )

    A, B = torch.randn(2, LARGE, LARGE, generator=generator).to(device)
    out = torch.empty_like(A)
    contestants["large product"] = lambda: torch.mm(A, B, out=out)
    return contestants


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """Turn seconds a step into the ratios that are tracked, higher is better.

    Args:
        seconds: Median seconds of each contestant of :func:`steps`.
    """
    ceiling = 2 * LARGE**3 / seconds["large product"]
    rnn = operations(RNN_SIZE, 1) / seconds["FastRNN"]
    lstm = operations(LSTM_SIZE, 4) / seconds["FastLSTM"]
    return {
        "rnn_vs_nn_rnn": seconds["nn.RNN"] / seconds["FastRNN"],
        "rnn_vs_d2l_scratch": seconds["d2l from scratch"] / seconds["FastRNN"],
        "rnn_share_of_matmul_ceiling": rnn / ceiling,
        "lstm_vs_nn_lstm": seconds["nn.LSTM"] / seconds["FastLSTM"],
        "lstm_share_of_matmul_ceiling": lstm / ceiling,
    }
