"""Chapter 4's classic run in small, and a part of its record."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion import datasets, records
from companion.experiments import classic as experiments
from companion.experiments.scoring import corpus
from companion.language_model import LanguageModel

LINE = "so it was that the time traveller spoke of all that he saw on his way "


@pytest.fixture
def narrow(monkeypatch):
    """Let the classic run have 8 hidden units of PyTorch's layer, soon done."""

    def layer(inputs, _, generator):
        with torch.random.fork_rng():
            made = nn.RNN(inputs, 8)
        for p in made.parameters():
            nn.init.normal_(p, std=0.01, generator=generator)
        return made

    monkeypatch.setattr(experiments, "FastRNN", layer)


# Text


@pytest.mark.parametrize(
    ("sample", "text", "length", "share"),
    [
        ("abcdef", "xxabcdefxx", 3, 1),
        ("abcdef", "fedcba", 3, 0),
        ("abcdef", "abcxdef", 3, 2 / 4),  # abc and def, but neither bcd nor cde
        ("abcabc", "abc", 3, 2 / 4),  # a window that occurs twice counts twice
        ("abc", "abc", 3, 1),
        ("aXb", "ab", 1, 2 / 3),
    ],
)
def test_the_share_written_verbatim_by_hand(sample, text, length, share):
    assert experiments.verbatim(sample, text, length) == pytest.approx(share)


def test_windows_have_20_characters_by_default():
    assert experiments.verbatim(LINE[:25] + "!", LINE) == pytest.approx(6 / 7)


# The runs


@pytest.mark.parametrize("scheme", ["sequential", "random"])
def test_a_classic_run_in_small(narrow, scheme):
    result = experiments.classic(scheme, seed=0, epochs=10, length=25)
    assert [point["epoch"] for point in result["curve"]] == [1, 2, 3, 10]
    for point in result["curve"]:
        assert list(point) == [
            "epoch",
            "running",
            "train",
            "held_out",
            "norm",
            "sample",
        ]
        for key in ("running", "train", "held_out"):
            assert 1 < point[key] < 29
        assert point["norm"] > 0
        assert point["sample"].startswith("time traveller")
        assert len(point["sample"]) == len("time traveller") + 50
    assert result["curve"][-1]["train"] < result["curve"][0]["train"]
    lowest = min(result["curve"], key=lambda point: point["held_out"])
    assert result["best"]["epoch"] == lowest["epoch"]
    assert result["last"]["epoch"] == 10
    assert len(result["written"]) == len("time traveller") + 25
    assert len(result["positions"]) == 35
    ids, vocab = corpus("")
    prefixes = experiments.prefixes_of(ids[10_000:20_000], vocab)
    assert prefixes[:2] == ["time traveller", "traveller"]
    text = vocab.decode(ids[:10_000])
    assert not any(prefix in text for prefix in prefixes[2:])
    for when in ("best", "last"):
        for way in ("greedy", "drawn"):
            assert len(result[when][way]) == len(prefixes)
            assert all(0 <= share <= 1 for share in result[when][way])


def test_losses_by_position_are_those_of_windows_that_begin_with_zeros(narrow):
    ids, vocab = corpus("")
    layer = experiments.FastRNN(
        len(vocab), 8, generator=torch.Generator().manual_seed(0)
    )
    model = LanguageModel(layer, len(vocab), init_std=1.0)
    losses = experiments.losses_by_position(model, ids[:71], length=35)
    by_hand = torch.zeros(35)
    for start in (0, 35):
        state = None
        for t in range(35):
            window = ids[start + t : start + t + 1]
            logits, state = model(window.unsqueeze(0), state)
            by_hand[t] += F.cross_entropy(
                logits, ids[start + t + 1 : start + t + 2]
            ).item()
    assert losses == pytest.approx((by_hand / 2).tolist(), rel=1e-5)


def test_a_seed_fixes_a_classic_run_and_the_global_generator_has_no_part(narrow):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = experiments.classic("random", seed=1, epochs=1, length=20)
        torch.manual_seed(1)
        assert experiments.classic("random", seed=1, epochs=1, length=20) == first
    assert experiments.classic("random", seed=2, epochs=1, length=20) != first


# A part of the record


@pytest.mark.skipif(datasets.origin()[0] != "real", reason="records are of the book")
def test_the_classic_run_of_the_record_begins_like_this_one():
    curve = records.load("classic")["results"]["sequential 0"]["curve"]
    again = experiments.classic("sequential", seed=0, epochs=2, length=20)["curve"]
    assert [point["epoch"] for point in again] == [1, 2]
    for ours, kept in zip(again, curve[:2], strict=True):
        assert ours["epoch"] == kept["epoch"]
        assert ours["running"] == pytest.approx(kept["running"], rel=1e-3)
        assert ours["train"] == pytest.approx(kept["train"], rel=1e-3)
        assert ours["held_out"] == pytest.approx(kept["held_out"], rel=1e-3)
