"""Text from a language model."""

import torch
from torch import Tensor

from companion.language_model import LanguageModel, evaluating
from companion.text import Vocab


def choose(
    logits: Tensor,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose a token: the most likely one, or one drawn from ``softmax(logits / tau)``.

    Args:
        logits: Scores, floating point, shape ``(V,)``.
        temperature: tau. 0 is greedy; 1 draws from the model's own distribution; below
            1 favours likely tokens, above 1 evens the distribution out.
        top_k: Draw only among the k most likely tokens; None: among all.
        generator: Draws; None uses PyTorch's global one.

    Returns:
        The id, int64, shape ``()``.

    Raises:
        ValueError: If ``temperature`` is negative or not finite, ``top_k`` is not in
            ``1 ... V``, or ``logits`` hold NaN.
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; accepted: a number from 0 up")
    if top_k is not None and not 1 <= top_k <= len(logits):
        raise ValueError(f"top_k is {top_k}; accepted: 1 ... {len(logits)}, or None")
    if logits.isnan().any():
        raise ValueError("logits hold NaN; accepted: numbers (did training diverge?)")
    if temperature == 0:
        return logits.argmax()
    scores, ids = logits.double().topk(top_k or len(logits))  # the largest first
    # Less the largest score: the same distribution, and no overflow when tau is small.
    weights = ((scores - scores[0]) / temperature).softmax(dim=0)
    return ids[torch.multinomial(weights, 1, generator=generator)[0]]


@torch.no_grad()
def generate(
    prefix: str,
    num_tokens: int,
    model: LanguageModel,
    vocab: Vocab,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> str:
    """Continue a prefix, greedily or by drawing each next token.

    The model first reads the prefix (the warm-up: it moves the state, its predictions
    are not used), then its own last token, again and again. Nothing here is recorded
    for a backward pass, and a model in training mode is in training mode afterwards.

    Args:
        prefix: At least one character; every character is in ``vocab``.
        num_tokens: Tokens to add, 0 or more.
        model: Maps ids ``(1, n)`` and a state to logits ``(n, V)`` and a new state.
        vocab: The vocabulary that the model was built for.
        temperature: See :func:`choose`; the default is greedy.
        top_k: See :func:`choose`.
        generator: See :func:`choose`.

    Returns:
        The prefix and its continuation. (A token written with several characters,
        ``<unk>``, counts as one.)

    Raises:
        ValueError: If the prefix is empty or holds a character outside the vocabulary,
            ``num_tokens`` is negative, or as in :func:`choose`.
    """
    if not prefix:
        raise ValueError("prefix is ''; accepted: at least one character")
    unknown = sorted(set(prefix) - set(vocab.tokens))
    if unknown:
        accepted = "".join(vocab.tokens[1:])
        raise ValueError(f"prefix {prefix!r} holds {unknown}; accepted: {accepted!r}")
    if num_tokens < 0:
        raise ValueError(f"num_tokens is {num_tokens}; accepted: 0 or more")
    with evaluating(model):
        fresh, state, added = vocab.encode(prefix), None, []
        fresh = fresh.to(next(model.parameters()).device)
        for _ in range(num_tokens):
            logits, state = model(fresh.unsqueeze(0), state)
            chosen = choose(
                logits[-1], temperature=temperature, top_k=top_k, generator=generator
            )
            fresh = chosen.reshape(1)
            added.append(int(chosen))
    return prefix + vocab.decode(added)
