"""Text from a language model."""

import math

import torch
from torch import Tensor

from companion.language_model import LanguageModel, evaluating
from companion.support import arguments, checks
from companion.text import Vocab


def sample(
    logits: Tensor,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose a token: the most likely one, or one drawn from ``softmax(logits / tau)``.

    Args:
        logits: Scores, floating point, shape ``(V,)``.
        temperature: tau, from 0 up. 0 is greedy; 1 draws from the model's own
            distribution; below 1 favours likely tokens, above 1 evens it out.
        top_k: Draw only among the k most likely tokens, 1 ... V; None: among all.
        generator: Draws; None uses PyTorch's global one.

    Returns:
        The id, int64, shape ``()``.

    Raises:
        ValueError: If ``logits`` holds NaN, infinity, or nothing but -infinity (one
            such score: a token never chosen), or an argument is not as said.

    Example:
        >>> sample(torch.tensor([0.5, 2.0, 1.0])).item()  # greedy
        1
    """
    logits = checks.as_tensor("logits", logits, "floating-point numbers, (V,)")
    if logits.dim() != 1 or not len(logits) or logits.dtype not in checks.FLOATS:
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and dtype {logits.dtype}; "
            "accepted: floating-point numbers, (V,)"
        )
    arguments.choice(len(logits), temperature, top_k, generator)
    checks.generator(generator, logits.device)
    largest = logits.max().item()  # NaN if there is one
    if not math.isfinite(largest):
        found = "NaN" if math.isnan(largest) else f"{largest} as the largest"
        raise ValueError(f"logits hold {found}; accepted: numbers (diverged training?)")
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
    are not used), then its own last token, again and again.

    Args:
        prefix: At least one character; every character is in ``vocab``.
        num_tokens: Tokens to add, 0 or more.
        model: Maps ids ``(1, n)`` and a state to logits ``(n, V)`` and a new state; it
            reads from left to right.
        vocab: The vocabulary that the model was built for. One of another size is
            refused; another of the same size cannot be told from it.
        temperature: See :func:`sample`; the default is greedy.
        top_k: See :func:`sample`.
        generator: See :func:`sample`.

    Returns:
        The prefix and its continuation. (``<unk>`` counts as one token.)

    Raises:
        ValueError: If an argument is not as said, or as in :func:`sample`.

    Example:
        >>> vocab = Vocab("abc")
        >>> model = LanguageModel(torch.nn.RNN(4, 3), vocab_size=4)
        >>> generate("ab", 5, model, vocab, temperature=1, top_k=2)[:2]
        'ab'
    """
    checks.kind("prefix", prefix, str, "a string")
    checks.kind("vocab", vocab, Vocab, "a companion.text.Vocab")
    if checks.looks_ahead(model):
        raise ValueError("model is bidirectional; accepted: one that reads forward")
    if not prefix:
        checks.refuse("prefix", prefix, "at least one character")
    unknown = sorted(set(prefix) - set(vocab.tokens))
    if unknown:
        accepted = "".join(vocab.tokens[1:])
        raise ValueError(f"prefix {prefix!r} holds {unknown}; accepted: {accepted!r}")
    checks.sizes(least=0, num_tokens=num_tokens)
    arguments.choice(len(vocab), temperature, top_k, generator)
    arguments.vocab_size(len(vocab), getattr(model, "vocab_size", len(vocab)))
    with evaluating(model):
        fresh, state, added = vocab.encode(prefix), None, []
        parameter = next(model.parameters(), fresh)  # a model may have none
        fresh = fresh.to(parameter.device)
        for _ in range(num_tokens):
            logits, state = model(fresh.unsqueeze(0), state)
            arguments.vocab_size(len(vocab), logits.shape[-1])
            chosen = sample(
                logits[-1], temperature=temperature, top_k=top_k, generator=generator
            )
            fresh = chosen.reshape(1)
            added.append(int(chosen))
    return prefix + vocab.decode(added)
