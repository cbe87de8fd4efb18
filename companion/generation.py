"""Text from a language model."""

import torch

from companion.language_model import LanguageModel
from companion.text import Vocab


@torch.no_grad()
def generate(prefix: str, num_tokens: int, model: LanguageModel, vocab: Vocab) -> str:
    """Continue a prefix greedily: each next token is the most likely one.

    The model first reads the prefix (the warm-up: it moves the state, its predictions
    are not used), then its own last token, again and again. Nothing here is recorded
    for a backward pass, and a model in training mode is in training mode afterwards.

    Args:
        prefix: At least one character; every character is in ``vocab``.
        num_tokens: Tokens to add, 0 or more.
        model: Maps ids ``(1, n)`` and a state to logits ``(n, V)`` and a new state.
        vocab: The vocabulary that the model was built for.

    Returns:
        The prefix and its continuation. (A token written with several characters,
        ``<unk>``, counts as one.)

    Raises:
        ValueError: If the prefix is empty or holds a character outside the vocabulary,
            or ``num_tokens`` is negative.
    """
    if not prefix:
        raise ValueError("prefix is ''; accepted: at least one character")
    unknown = sorted(set(prefix) - set(vocab.tokens))
    if unknown:
        accepted = "".join(vocab.tokens[1:])
        raise ValueError(f"prefix {prefix!r} holds {unknown}; accepted: {accepted!r}")
    if num_tokens < 0:
        raise ValueError(f"num_tokens is {num_tokens}; accepted: 0 or more")
    was_training = model.training
    model.eval()
    try:
        ids = vocab.encode(prefix).to(next(model.parameters()).device)
        fresh, state, added = ids, None, []
        for _ in range(num_tokens):
            logits, state = model(fresh.unsqueeze(0), state)
            fresh = logits[-1:].argmax(dim=-1)  # (1,)
            added.append(int(fresh))
    finally:
        model.train(was_training)
    return prefix + vocab.decode(added)
