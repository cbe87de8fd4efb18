"""Properties of choosing a token and of generating text."""

import math
import re

import pytest
import torch
from torch import nn

from companion.generation import generate, sample
from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab

VOCAB = Vocab("the time traveller for so it will be convenient to speak of him")
V = len(VOCAB)
PREFIXES = ["t", "time traveller", "  "]
LAYERS = {
    "ours": lambda: RNN(V, 24, dtype=torch.float64),
    "nn.GRU": lambda: nn.GRU(V, 24, dtype=torch.float64),
    "nn.LSTM": lambda: nn.LSTM(V, 24, dtype=torch.float64),
}


@pytest.fixture(params=LAYERS)
def model(request):
    """Return a model with weights so large that its text depends on all of the prefix.

    That makes it chaotic: in float32 the text would soon be a matter of rounding.
    """
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LanguageModel(LAYERS[request.param](), V)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=2)
    model.b_q.data[VOCAB.unk] = -1e4  # text alone, so that it can be a prefix again
    return model


def reads(model):
    """Watch a model: the ids of each call, and what was switched on at the time."""
    calls = []

    def watch(module, arguments):
        calls.append((arguments[0], torch.is_grad_enabled(), module.training))

    model.register_forward_pre_hook(watch)
    return calls


# Choosing a token


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def shares(logits, draws=4000, **arguments):
    """Count how often each id is chosen, as shares of all draws."""
    generator = seeded()
    ids = [sample(logits, generator=generator, **arguments) for _ in range(draws)]
    return torch.stack(ids).bincount(minlength=len(logits)) / draws


LOGITS = torch.tensor([0.5, -1.0, 2.0, 1.5, -3.0])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_are_drawn_with_the_probabilities_of_the_softmax(temperature):
    expected = (LOGITS / temperature).softmax(dim=0)
    torch.testing.assert_close(
        shares(LOGITS, temperature=temperature), expected, rtol=0, atol=0.03
    )


def test_top_k_draws_among_the_likeliest_with_their_relative_probabilities():
    expected = torch.zeros(5)
    expected[[0, 2, 3]] = LOGITS[[0, 2, 3]].softmax(dim=0)
    drawn = shares(LOGITS, temperature=1.0, top_k=3)
    assert drawn[[1, 4]].eq(0).all()
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    "greedy",
    [{}, {"temperature": 0}, {"temperature": 0, "top_k": 3}, {"temperature": 1e-30},
     {"temperature": 50.0, "top_k": 1}],
)  # fmt: skip
def test_these_settings_are_greedy(greedy):
    for logits in torch.randn(20, 9, generator=seeded()):
        chosen = sample(logits, generator=seeded(), **greedy)
        assert chosen.shape == ()
        assert chosen.dtype == torch.int64
        assert chosen == logits.argmax()


def test_a_top_k_of_all_tokens_changes_nothing():
    for seed in range(20):
        one, other = (
            sample(LOGITS, temperature=2.0, top_k=k, generator=seeded(seed))
            for k in (None, len(LOGITS))
        )
        assert one == other


def test_scores_that_overflow_an_exponential_can_be_drawn_from():
    logits = torch.tensor([1e4, -1e4, 1e4, -torch.inf])
    drawn = shares(logits, draws=200, temperature=0.01)
    assert drawn[[1, 3]].eq(0).all()
    assert drawn[[0, 2]].gt(0).all()


def test_adding_a_constant_to_the_scores_changes_nothing():
    for seed in range(20):
        one, other = (
            sample(logits, temperature=1.0, generator=seeded(seed))
            for logits in (LOGITS, LOGITS + 64)
        )
        assert one == other


@pytest.mark.parametrize("temperature", [-1e-9, -1, math.inf, math.nan])
def test_a_temperature_that_is_no_number_from_zero_up_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature is {temperature}; accepted"):
        sample(LOGITS, temperature=temperature)


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("top_k", [-1, 0, 6])
def test_a_top_k_outside_the_vocabulary_is_refused(top_k, temperature):
    with pytest.raises(ValueError, match=rf"top_k is {top_k}; accepted: 1 \.\.\. 5"):
        sample(LOGITS, top_k=top_k, temperature=temperature)


# What is generated


@pytest.mark.parametrize("prefix", PREFIXES)
def test_it_equals_a_loop_that_feeds_one_token_at_a_time(model, prefix):
    state, text = None, ""
    for char in prefix:
        logits, state = model(VOCAB.encode(char)[None], state)
        text += char
    for _ in range(40):
        char = VOCAB.tokens[int(logits[0].argmax())]
        logits, state = model(VOCAB.encode(char)[None], state)
        text += char
    assert generate(prefix, 40, model, VOCAB) == text
    assert len(set(text[len(prefix) :])) > 2  # so that agreeing is no accident


@pytest.mark.parametrize("prefix", PREFIXES)
def test_each_token_is_the_likeliest_after_all_the_text_before_it(model, prefix):
    text = generate(prefix, 20, model, VOCAB)
    for end in range(len(prefix), len(text)):
        logits, _ = model(VOCAB.encode(text[:end])[None])
        assert VOCAB.tokens[int(logits[-1].argmax())] == text[end]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_continuing_a_continuation_is_continuing_longer(model, prefix):
    once = generate(prefix, 30, model, VOCAB)
    assert len(once) == len(prefix) + 30
    assert generate(generate(prefix, 11, model, VOCAB), 19, model, VOCAB) == once


def test_the_continuation_depends_on_the_whole_prefix(model):
    ends = {generate(char + "ime", 10, model, VOCAB)[4:] for char in "trkb"}
    assert len(ends) == 4


def test_every_token_is_read_once(model):
    calls = reads(model)
    text = generate("time", 5, model, VOCAB)
    read = torch.cat([ids for ids, *_ in calls], dim=1)
    assert VOCAB.decode(read[0]) == text[:-1]


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.7}, {"temperature": 3, "top_k": 4}]
)
def test_drawn_text_is_a_loop_of_choices(model, settings):
    generator = seeded(7)
    text = "so it"
    logits, state = model(VOCAB.encode(text)[None])
    for _ in range(30):
        id_ = sample(logits[-1], generator=generator, **settings)
        text += VOCAB.decode([id_])
        logits, state = model(id_.reshape(1, 1), state)
    assert generate("so it", 30, model, VOCAB, generator=seeded(7), **settings) == text


def test_a_seed_fixes_the_text_and_spares_the_global_generator(model):
    before = torch.get_rng_state()
    first, same, other = (
        generate("so it", 30, model, VOCAB, temperature=5, generator=seeded(seed))
        for seed in (0, 0, 1)
    )
    assert torch.get_rng_state().equal(before)
    assert first == same
    assert first != other


def test_without_a_generator_the_global_seed_fixes_the_text(model):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, other = (
            generate("so it", 30, model, VOCAB, temperature=5) for _ in range(2)
        )
        torch.manual_seed(0)
        assert generate("so it", 30, model, VOCAB, temperature=5) == first
    assert first != other


def test_no_tokens_asked_for_returns_the_prefix(model):
    assert generate("time", 0, model, VOCAB) == "time"


def test_unk_counts_as_one_token(model):
    model.b_q.data[VOCAB.unk] = 1e4
    assert generate("so", 3, model, VOCAB) == "so<unk><unk><unk>"


def test_dropout_is_off_while_generating():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.LSTM(V, 24, num_layers=2, dropout=0.9)
        model = LanguageModel(layer, V, init_std=3.0).train()
        texts = {generate("so it", 30, model, VOCAB) for _ in range(3)}
        assert texts == {generate("so it", 30, model.eval(), VOCAB)}


# What is left behind


@pytest.mark.parametrize("num_tokens", [0, 3])
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_put_back(model, training, num_tokens):
    calls = reads(model.train(training))
    generate("so", num_tokens, model, VOCAB)
    assert len(calls) == num_tokens
    assert not any(in_training for *_, in_training in calls)
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back_when_the_model_raises(model, training):
    def fail(*_):
        raise RuntimeError("out of memory")

    model.train(training).layer.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate("so", 3, model, VOCAB)
    assert all(module.training == training for module in model.modules())
    assert torch.is_grad_enabled()


def test_nothing_is_recorded_for_a_backward_pass(model):
    calls = reads(model)
    before = [parameter.clone() for parameter in model.parameters()]
    generate("so", 3, model, VOCAB)
    assert [grad_enabled for _, grad_enabled, _ in calls] == [False] * 3
    assert torch.is_grad_enabled()
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert parameter.grad is None
        assert parameter.requires_grad
        assert parameter.equal(old)


def test_greedy_text_draws_no_random_number(model):
    before = torch.get_rng_state()
    generate("so", 3, model, VOCAB)
    assert torch.get_rng_state().equal(before)


# What is refused


def test_an_empty_prefix_is_refused(model):
    with pytest.raises(ValueError, match="prefix is ''; accepted: at least one"):
        generate("", 3, model, VOCAB)


@pytest.mark.parametrize(
    ("prefix", "unknown"),
    [("Time!", ["!", "T"]), ("é", ["é"]), ("u", ["u"]), ("<unk>", ["<", ">", "u"])],
)
def test_characters_outside_the_vocabulary_are_refused_by_name(model, prefix, unknown):
    message = re.escape(f"prefix {prefix!r} holds {unknown}; accepted: ")
    with pytest.raises(ValueError, match=message):
        generate(prefix, 3, model, VOCAB)


def test_a_character_too_rare_for_the_vocabulary_is_refused(model):
    vocab = Vocab("aab", min_count=2)
    with pytest.raises(ValueError, match=r"prefix 'ab' holds \['b'\]; accepted: 'a'"):
        generate("ab", 0, model, vocab)


@pytest.mark.parametrize("num_tokens", [-1, -50])
def test_a_negative_number_of_tokens_is_refused(model, num_tokens):
    with pytest.raises(ValueError, match=f"num_tokens is {num_tokens}; accepted"):
        generate("so", num_tokens, model, VOCAB)


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": 0}, {"top_k": V + 1}])
def test_what_cannot_be_chosen_by_cannot_be_generated_by(model, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is {value}; accepted"):
        generate("so", 3, model.train(), VOCAB, **wrong)
    assert model.training


@pytest.mark.parametrize("temperature", [0, 1])
def test_scores_that_hold_nan_are_refused(temperature):
    logits = LOGITS.clone()
    logits[1] = math.nan
    with pytest.raises(ValueError, match="logits hold NaN; accepted: numbers"):
        sample(logits, temperature=temperature, generator=seeded())


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_model_whose_training_diverged_generates_nothing(model, temperature):
    nn.init.constant_(model.b_q, math.nan)
    with pytest.raises(ValueError, match="logits hold NaN"):
        generate("so", 3, model.train(), VOCAB, temperature=temperature)
    assert model.training


@pytest.mark.parametrize("temperature", [1e-6, 1e-308, 1e6, 1e300])
def test_an_extreme_temperature_is_the_greedy_or_the_uniform_choice(temperature):
    drawn = shares(LOGITS, draws=500, temperature=temperature)
    if temperature < 1:
        assert drawn.tolist() == [0, 0, 1, 0, 0]
    else:
        torch.testing.assert_close(drawn, torch.full((5,), 0.2), rtol=0, atol=0.08)


@pytest.mark.parametrize(
    ("logits", "said"),
    [
        (torch.zeros(2, 3), r"logits has shape \(2, 3\) .*; accepted: .*, \(V,\)$"),
        (torch.tensor([]), r"logits has shape \(0,\)"),
        (torch.tensor(1.0), r"logits has shape \(\)"),
        (torch.tensor([1, 2]), "dtype torch.int64; accepted: floating-point"),
        ([math.inf, 1.0], "logits hold inf as the largest; accepted: numbers"),
        ([-math.inf, -math.inf], "logits hold -inf as the largest"),
        ([math.nan, math.inf], "logits hold NaN"),
        ("0.5", r"^logits is '0.5'; accepted: floating-point numbers, \(V,\)$"),
    ],
)
@pytest.mark.parametrize("temperature", [0, 1])
def test_scores_that_no_token_could_be_chosen_by_are_refused(logits, said, temperature):
    with pytest.raises(ValueError, match=said):
        sample(logits, temperature=temperature, generator=seeded())


def test_a_list_of_scores_is_chosen_from_like_a_tensor():
    for settings in ({}, {"temperature": 2.0}):
        one, other = (
            sample(scores, generator=seeded(3), **settings)
            for scores in (LOGITS, LOGITS.tolist())
        )
        assert one == other


@pytest.mark.parametrize("num_tokens", [0, 3])
@pytest.mark.parametrize("extra", ["xyz", ""])
def test_a_vocabulary_of_another_size_is_refused(model, num_tokens, extra):
    vocab = Vocab("the timrav" + extra)
    said = f"vocab has {len(vocab)} tokens; accepted: {V}, as the model has"
    with pytest.raises(ValueError, match=said):
        generate("the", num_tokens, model, vocab)


def test_the_vocabulary_of_a_model_that_does_not_tell_it_is_compared_too():
    class Silent(nn.Module):
        def forward(self, ids, state):
            return torch.zeros(ids.numel(), V + 1), state

    with pytest.raises(ValueError, match=rf"accepted: {V + 1}, as the model has"):
        generate("so", 1, Silent(), VOCAB)


def test_a_model_that_looks_ahead_generates_nothing():
    model = LanguageModel(nn.GRU(V, 4, bidirectional=True), V)
    with pytest.raises(ValueError, match="model is bidirectional; accepted"):
        generate("so", 3, model, VOCAB)


def test_settings_are_checked_also_where_nothing_is_drawn(model):
    with pytest.raises(ValueError, match="temperature is -1; accepted"):
        generate("so", 0, model, VOCAB, temperature=-1)


class Elsewhere(nn.Module):
    """A model on a device that is not the CPU: what it is given must be there."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, device="meta"))

    def forward(self, ids, state):
        """Score the tokens, on the CPU."""
        assert ids.device == self.weight.device
        return torch.arange(V).float().expand(ids.shape[1], V), state


def test_the_prefix_is_taken_to_the_device_of_the_model():
    assert generate("t", 1, Elsewhere(), VOCAB) == "t" + VOCAB.tokens[-1]


@pytest.mark.parametrize("num_tokens", [0, 1])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"temperature": -1}, "temperature is -1; accepted: a number from 0 up"),
        ({"temperature": "1"}, "temperature is '1'; accepted: a number from 0 up"),
        ({"top_k": 1.5}, f"top_k is 1.5; accepted: 1 ... {V}, or None"),
        ({"top_k": True}, f"top_k is True; accepted: 1 ... {V}, or None"),
        ({"generator": 7}, "generator is 7; accepted: a Generator"),
    ],
)
def test_settings_are_refused_even_if_no_token_is_chosen(setting, said, num_tokens):
    model = LanguageModel(nn.RNN(V, 2), V)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        generate("t", num_tokens, model, VOCAB, **setting)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        sample(torch.zeros(V), **setting)


def test_a_generator_of_another_device_than_the_scores_is_refused():
    with pytest.raises(ValueError, match=r"^generator is on cpu; accepted: meta$"):
        sample(torch.zeros(3, device="meta"), temperature=1, generator=seeded())
