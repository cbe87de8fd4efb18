"""The classic name classifiers, as published: one name at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from companion.stepping import take_step
from companion.support import checks


class ClassicRNN(nn.Module):
    """The published network: ``h_t = sigmoid([x_t, h_{t-1}] W_h + b_h)``.

    Its output ``o_t = [x_t, h_{t-1}] W_o + b_o`` reads the *old* state, so the state
    after the last character is computed and never used.

    Args:
        input_size: D, features of a character.
        hidden_size: H, hidden units.
        num_classes: K.

    Attributes:
        hidden: Linear layer from D + H features to H.
        output: Linear layer from D + H features to K.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Tae (2020).
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int):
        super().__init__()
        checks.sizes(
            input_size=input_size, hidden_size=hidden_size, num_classes=num_classes
        )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.hidden = nn.Linear(input_size + hidden_size, hidden_size)
        self.output = nn.Linear(input_size + hidden_size, num_classes)

    def begin_state(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw the state before the first character: uniform, and new at every call.

        Args:
            generator: Draws; None uses PyTorch's global one.

        Returns:
            Shape ``(1, H)``, between ``-sqrt(6 / H)`` and ``sqrt(6 / H)``.

        Raises:
            ValueError: If ``generator`` is none, or on another device.
        """
        checks.generator(generator, self.output.weight.device)
        state = self.output.weight.new_empty(1, self.hidden_size)
        return nn.init.kaiming_uniform_(state, generator=generator)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """Read one name.

        Args:
            x: Shape ``(n, 1, D)``, as
                :func:`companion.laboratory.surnames.encode` returns it.
            state: Shape ``(1, H)``; None draws one, in evaluation mode too.

        Returns:
            Logits of the last step, shape ``(1, K)``.

        Raises:
            ValueError: If ``x`` or ``state`` has another shape or dtype.
        """
        _check_name(x, self.input_size, self.output.weight)
        h = self.begin_state() if state is None else state
        checks.kind("state", h, Tensor, "a tensor")
        checks.like("state", h, self.output.weight)
        if h.shape != (1, self.hidden_size):
            checks.refuse("state", h, f"shape (1, {self.hidden_size})")
        for x_t in x:  # (1, D)
            combined = torch.cat((x_t, h), dim=1)  # (1, D + H)
            h = torch.sigmoid(self.hidden(combined))
        return self.output(combined)


class ClassicGRU(nn.Module):
    """The published comparison: a stack of GRU layers, then ``o = h_n W_o + b_o``.

    Args:
        input_size: D.
        hidden_size: H.
        num_classes: K.
        num_layers: L.

    Attributes:
        layer: The ``torch.nn.GRU``.
        output: Linear layer from H features to K.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Tae (2020).
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, num_layers: int = 2
    ):
        super().__init__()
        checks.sizes(
            input_size=input_size,
            hidden_size=hidden_size,
            num_classes=num_classes,
            num_layers=num_layers,
        )
        self.layer = nn.GRU(*map(int, (input_size, hidden_size, num_layers)))
        self.output = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Read one name, from a state of zeros.

        Args:
            x: Shape ``(n, 1, D)``, as
                :func:`companion.laboratory.surnames.encode` returns it.

        Returns:
            Logits after the last step, shape ``(1, K)``.

        Raises:
            ValueError: If ``x`` has another shape or dtype.
        """
        _check_name(x, self.layer.input_size, self.output.weight)
        outputs, _ = self.layer(x)  # (n, 1, H)
        return self.output(outputs[-1])


def _check_name(x: Tensor, input_size: int, like: Tensor) -> None:
    checks.layer_input(x, input_size, like)
    if x.shape[1] != 1:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; accepted: (n, 1, {input_size})"
        )


def _check_examples(examples) -> list[tuple[Tensor, Tensor]]:
    accepted = "pairs of the rows of a name and its label"
    pairs = []
    for example in checks.as_list("examples", examples, accepted):
        pair = checks.as_list("an entry of examples", example, accepted)
        if len(pair) != 2 or not isinstance(pair[0], Tensor):
            checks.refuse("an entry of examples", example, accepted)
        label = checks.as_ids([pair[1]], name="a label of examples", dims=1)
        pairs.append((pair[0], label))
    if not pairs:
        raise ValueError("examples is empty; accepted: at least one name")
    return pairs


def train_one_at_a_time(
    model: nn.Module,
    examples: Sequence[tuple[Tensor, int]],
    optimiser: Optimizer,
    *,
    max_norm: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Take one optimiser step a name, in random order.

    Args:
        model: Maps ``(n, 1, D)`` to logits ``(1, K)``.
        examples: One-hot rows of a name, and its label, 0 ... K - 1.
        optimiser: Owns the parameters of the model.
        max_norm: Radius to which each gradient is clipped; infinite: no clipping.
        generator: Draws the order; None uses PyTorch's global one.

    Returns:
        The loss of each step, nats, float32, shape ``(len(examples),)``.

    Raises:
        ValueError: If there is no example, or an argument is not as said.
        FloatingPointError: If a loss or a gradient stops being finite.
    """
    checks.optimiser(optimiser, model)
    checks.above_zero(max_norm=max_norm)
    checks.generator(generator, torch.device("cpu"))
    examples = _check_examples(examples)
    model.train()
    losses = torch.empty(len(examples))
    order = torch.randperm(len(examples), generator=generator).tolist()
    for step, place in enumerate(order):
        x, label = examples[place]
        logits = model(x)
        label = checks.ids(label, logits.shape[1], name="a label of examples")
        loss = F.cross_entropy(logits, label.to(logits.device))
        where = f"step {step + 1}"
        losses[step], _ = take_step(model, loss, optimiser, max_norm, where)
    return losses
