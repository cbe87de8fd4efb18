"""A character language model around any recurrent layer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from companion.rnn import initial_weights
from companion.support import arguments, checks
from companion.text import one_hot


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch all parts of a model to evaluation mode (no dropout), and in the end back.

    Raises:
        ValueError: If ``model`` is not a module.

    Example:
        >>> model = nn.Dropout()
        >>> with evaluating(model):
        ...     model.training
        False
        >>> model.training
        True
    """
    checks.model(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def detach_state(state):
    """Cut a state off from the graph that computed it, keeping its values.

    Args:
        state: Of any layer: a tensor, a tuple of states of any depth, or None.

    Returns:
        The same structure with every tensor detached.

    Raises:
        ValueError: If something else is found inside.

    Example:
        >>> detach_state((torch.ones(1, requires_grad=True) + 1, None))
        (tensor([2.]), None)
    """
    if isinstance(state, tuple):
        return tuple(map(detach_state, state))
    if state is not None and not isinstance(state, Tensor):
        found = type(state).__name__
        raise ValueError(f"state holds a {found}; accepted: tensors, tuples and None")
    return None if state is None else state.detach()


class LanguageModel(nn.Module):
    """One-hot tokens, a recurrent layer, and an output layer ``O_t = H_t W_hq + b_q``.

    Args:
        layer: Any module that maps ``(T, N, V)`` and a state (None for the first) to
            ``(T, N, H)`` and the new state, and has ``hidden_size``: the companion's
            layers, and those of ``torch.nn`` with any number of layers and directions.
            One with a true attribute ``reads_ids`` is given ids, ``(T, N)``. Dtype and
            device of the model are the layer's.
        vocab_size: V.
        init_std: Standard deviation of the first output weights; the bias is zero.
        dropout: Probability with which training zeroes an entry of the layer's output.
        input_dropout: Probability with which training zeroes a token's one-hot row.
        generator: Draws the initial weights; None uses PyTorch's global one.

    Attributes:
        W_hq: Shape ``(H, V)``, or ``(2H, V)`` with two directions.
        b_q: Shape ``(V,)``.

    Raises:
        ValueError: If an argument is not as said, or the layer has no parameter, reads
            another number of features, wants its batch first or projects its state.

    Example:
        >>> model = LanguageModel(nn.LSTM(28, 16), vocab_size=28)
        >>> logits, state = model(torch.zeros(2, 5).long())
        >>> logits.shape  # T*N rows: step after step
        torch.Size([10, 28])
    """

    def __init__(
        self,
        layer: nn.Module,
        vocab_size: int,
        *,
        init_std: float = 0.01,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        checks.sizes(vocab_size=vocab_size)
        checks.dropout(dropout=dropout, input_dropout=input_dropout)
        like = arguments.layer(layer, vocab_size)
        self.layer, self.vocab_size = layer, vocab_size
        self.dropout, self.input_dropout = map(nn.Dropout, (dropout, input_dropout))
        width = layer.hidden_size * (2 if getattr(layer, "bidirectional", 0) else 1)
        draws = {"init_std": init_std, "generator": generator}
        place = {"device": like.device, "dtype": like.dtype}
        self.W_hq = initial_weights(width, vocab_size, **draws, **place)
        self.b_q = nn.Parameter(like.new_zeros(vocab_size))

    def begin_state(self, batch_size: int, device: torch.device | str | None = None):
        """Return the first state of N sequences, zeros, as the layer wants it.

        ``((N, H),)`` for the companion's RNN; ``(L, N, H)`` for ``torch.nn.RNN`` and
        ``GRU``, 2L with two directions; a pair of these for ``torch.nn.LSTM``.

        Raises:
            ValueError: If ``batch_size`` is no integer from 1 up, ``device`` no device.
        """
        checks.sizes(batch_size=batch_size)
        checks.place(device)
        if isinstance(self.layer, nn.RNNBase):
            return _zeros(self.layer, batch_size, device)
        return self.layer.begin_state(batch_size, device)

    def forward(self, ids: Tensor, state=None):
        """Score every vocabulary entry as the next token, at every time step.

        Args:
            ids: Token ids, integer, shape ``(N, T)``, N and T at least 1.
            state: What an earlier call returned; None begins anew.

        Returns:
            Logits, ``(T*N, V)``, and the new state. Row ``t*N + i`` belongs to step t
            of sequence i: flatten targets as ``Y.T.reshape(-1)``.

        Raises:
            ValueError: If ``ids`` holds anything but ids of the vocabulary, or if ids
                or state do not fit the layer.
        """
        outputs, state = self._hidden(ids, state)
        return torch.addmm(self.b_q, outputs, self.W_hq), state

    def _hidden(self, ids: Tensor, state):
        """Return what the output layer reads, ``(T*N, H)``, and the new state."""
        ids = checks.as_ids(ids, dims=2)
        checks.device("ids", ids, self.W_hq)
        if isinstance(self.layer, nn.RNNBase) and state is not None:
            checks.state(state, self.begin_state(len(ids)), ids)
        if getattr(self.layer, "reads_ids", False) and not self.input_dropout.p:
            inputs = checks.ids(ids.T, self.vocab_size)  # (T, N)
        else:
            inputs = one_hot(ids.T, self.vocab_size, dtype=self.W_hq.dtype)  # (T, N, V)
            inputs = self.input_dropout(inputs)
        outputs, state = self.layer(inputs, state)  # (T, N, H)
        return self.dropout(outputs).reshape(-1, outputs.shape[-1]), state


def _zeros(layer: nn.RNNBase, batch_size: int, device: torch.device | str | None):
    """Return the first state of one of PyTorch's layers."""
    layers = layer.num_layers * (2 if layer.bidirectional else 1)
    shape, like = (layers, batch_size, layer.hidden_size), layer.weight_hh_l0
    H, C = (like.new_zeros(shape, device=device) for _ in range(2))
    return (H, C) if isinstance(layer, nn.LSTM) else H
