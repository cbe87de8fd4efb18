"""A character language model around any recurrent layer."""

import torch
from torch import Tensor, nn

from companion.text import one_hot


class LanguageModel(nn.Module):
    """One-hot tokens, a recurrent layer, and an output layer ``O_t = H_t W_hq + b_q``.

    Args:
        layer: Any module that maps ``(T, N, V)`` and a state (None for the first) to
            ``(T, N, H)`` and the new state, and has ``hidden_size``. The model passes
            the state on and never looks inside.
        vocab_size: V.
        scale: Standard deviation of the initial output weights; the bias begins at
            zero.
        generator: Draws the initial weights; None uses PyTorch's global one.

    Attributes:
        layer: The recurrent layer.
        W_hq: Shape ``(H, V)``, in the dtype and on the device of the layer.
        b_q: Shape ``(V,)``.

    Raises:
        ValueError: If ``vocab_size`` is below 1.
    """

    def __init__(
        self,
        layer: nn.Module,
        vocab_size: int,
        *,
        scale: float = 0.01,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if vocab_size < 1:
            raise ValueError(f"vocab_size is {vocab_size}; accepted: 1 or more")
        self.layer, self.vocab_size = layer, vocab_size
        like = next(layer.parameters())
        source = generator.device if generator is not None else None
        shape = (layer.hidden_size, vocab_size)
        draw = torch.randn(shape, generator=generator, device=source, dtype=like.dtype)
        self.W_hq = nn.Parameter((scale * draw).to(like.device))
        self.b_q = nn.Parameter(like.new_zeros(vocab_size))

    def begin_state(self, batch_size: int, device: torch.device | str | None = None):
        """Return the layer's state before the first token; see the layer's own."""
        return self.layer.begin_state(batch_size, device)

    def forward(self, ids: Tensor, state=None):
        """Score every vocabulary entry as the next token, at every time step.

        Args:
            ids: Token ids, integer, shape ``(N, T)``.
            state: What an earlier call returned; None begins anew.

        Returns:
            Logits, shape ``(T*N, V)``, step after step (row ``t*N + i`` belongs to step
            t of sequence i, so targets are flattened as ``Y.T.reshape(-1)``), and the
            new state.

        Raises:
            ValueError: If ``ids`` is not two-dimensional or holds no id of the
                vocabulary.
        """
        if ids.dim() != 2:
            raise ValueError(f"ids has shape {tuple(ids.shape)}; accepted: (N, T)")
        inputs = one_hot(ids.T, self.vocab_size, dtype=self.W_hq.dtype)  # (T, N, V)
        outputs, state = self.layer(inputs, state)  # (T, N, H)
        logits = outputs.reshape(-1, outputs.shape[-1]) @ self.W_hq + self.b_q
        return logits, state
