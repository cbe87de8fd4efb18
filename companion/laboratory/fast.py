"""Fast layers: those of the chapters, with a backward pass of their own.

:class:`FastRNN` and :class:`FastLSTM` compute what :mod:`companion.rnn` and
:mod:`companion.lstm` compute, in less time (laboratory C).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.laboratory.recurrences import LSTMFunction, RNNFunction, no_autocast
from companion.lstm import LSTM
from companion.rnn import RNN
from companion.support import checks


def _prepare(
    parts: int,
    inputs: Tensor,
    state: tuple[Tensor, ...] | None,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
) -> tuple[Tensor, tuple[Tensor | None, ...], Tensor]:
    """Check what a layer is given, and return what its function needs.

    Parameters of half precision become float32 here: a recurrence rounds at each step,
    and the tanh of these layers would lose most of what half precision has. Autocast,
    which would round the products to half precision, is left in the same way.

    Returns:
        The input products, the ``parts`` of the state (None for zeros), and ``W_h``.
    """
    checks.kind("inputs", inputs, Tensor, "ids (T, N) or features (T, N, D), a tensor")
    ids = inputs.dim() == 2
    if not ids:
        checks.layer_input(inputs, len(W_x), W_x)
    elif len(inputs) == 0:
        raise ValueError("inputs has no time step; accepted: at least 1")
    else:
        inputs = checks.ids(inputs, len(W_x), name="inputs")
        checks.device("inputs", inputs, W_x)
    checks.sizes(batch_size=inputs.shape[1])
    if state is not None:
        first = W_h.new_zeros(inputs.shape[1], len(W_h))
        checks.state(state, (first,) * parts, inputs)
    half = W_x.dtype in (torch.float16, torch.bfloat16)
    dtype = torch.float32 if half else W_x.dtype
    W_x, W_h, b = W_x.to(dtype), W_h.to(dtype), b.to(dtype)
    if ids:
        products = F.embedding(inputs, W_x + b)  # a look-up of rows
    else:
        with no_autocast(inputs):
            products = (inputs.to(dtype) @ W_x).add_(b)
    state = (None,) * parts if state is None else tuple(H.to(dtype) for H in state)
    return products, state, W_h


def _apply(function: type, *arguments: Tensor | None):
    """Apply a function of its own backward pass; ``torch.compile`` does not trace it.

    Traced, it would no longer notice that it is to be differentiated twice.
    """
    if torch.compiler.is_compiling():
        return torch.compiler.disable(function.apply)(*arguments)
    return function.apply(*arguments)


class FastRNN(RNN):
    """The layer of :class:`companion.rnn.RNN`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``, which saves the product with one-hot
    rows; :class:`~companion.language_model.LanguageModel` does so. The state is a copy
    and no view of the outputs. Gradients of gradients are refused. Half precision and
    autocast: the recurrence runs in float32, the results have the parameters' dtype.
    Arguments and errors are those of :class:`~companion.rnn.RecurrentLayer`.

    Source:
        Laboratory C.
    """

    #: A language model hands such a layer the ids, not their one-hot rows.
    reads_ids = True

    def forward(
        self, inputs: Tensor, state: tuple[Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Ids, integer, ``(T, N)``, or features, ``(T, N, D)``.
            state: What an earlier call returned, ``((N, H),)``; None begins with zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one, ``((N, H),)``.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape or dtype, or an id
                is not below D.
        """
        products, state, W_hh = _prepare(
            1, inputs, state, self.W_xh, self.W_hh, self.b_h
        )
        outputs = _apply(RNNFunction, products, *state, W_hh).to(self.W_hh.dtype)
        return outputs, (outputs[-1].clone(),)


class FastLSTM(LSTM):
    """The layer of :class:`companion.lstm.LSTM`, with a backward pass by hand.

    It has the same parameters and computes the same numbers, but for rounding. Inputs
    may also be the ids themselves, ``(T, N)``. State, gradients of gradients, half
    precision and autocast are as with :class:`FastRNN`, arguments and errors as with
    :class:`companion.lstm.LSTM`.

    Source:
        Laboratory C.
    """

    #: A language model hands such a layer the ids, not their one-hot rows.
    reads_ids = True

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read T time steps of N sequences.

        Args:
            inputs: Ids, integer, ``(T, N)``, or features, ``(T, N, D)``.
            state: What an earlier call returned, ``((N, H), (N, H))``; None begins with
                zeros.

        Returns:
            The hidden states after each step, ``(T, N, H)``, and the state after the
            last one: hidden state and cell.

        Raises:
            ValueError: If ``inputs`` or ``state`` has another shape or dtype, or an id
                is not below D.
        """
        products, state, W_h = _prepare(2, inputs, state, self.W_x, self.W_h, self.b)
        outputs, C, _ = _apply(LSTMFunction, products, *state, W_h)
        outputs, C = outputs.to(self.W_h.dtype), C.to(self.W_h.dtype)
        return outputs, (outputs[-1].clone(), C)
