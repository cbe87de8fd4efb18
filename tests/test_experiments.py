"""The long experiments in small: each piece of them, and a part of each record.

The book's records are not recomputed here, that takes hours; a piece of each is.
"""

import copy
import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion import datasets
from companion.clipping import clip_grad_norm_
from companion.experiments import recording as experiments
from companion.laboratory.ngram import WittenBell
from companion.language_model import LanguageModel
from companion.rnn import RNN
from companion.text import Vocab
from companion.training import evaluate, perplexity

F64 = torch.float64
V = 28
RECORDS = Path(datasets.__file__).parent / "data" / "records"
LINE = "so it was that the time traveller spoke of all that he saw on his way "


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(nn.LSTM(V, 8, dtype=F64), V, init_std=0.7, dropout=0.5)


@pytest.fixture
def ids():
    return torch.randint(V, (70,), generator=seeded())


@pytest.fixture
def small(monkeypatch):
    """Put a text of 5,000 tokens in the place of the book."""
    text = (LINE * 80)[:5000]
    vocab = Vocab(text)
    monkeypatch.setattr(experiments, "corpus", lambda join: (vocab.encode(text), vocab))
    return vocab.encode(text), vocab


@pytest.fixture
def narrow(monkeypatch):
    """Let the classic run have 8 hidden units."""
    monkeypatch.setattr(
        experiments,
        "FastRNN",
        lambda inputs, _, generator: RNN(inputs, 8, generator=generator),
    )


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


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


@pytest.mark.parametrize(("join", "blanks"), [("", 0), (" ", 1)])
def test_the_corpus_is_the_book_in_ids(join, blanks):
    ids, vocab = experiments.corpus(join)
    assert len(vocab) == V
    assert ids.min() >= 1  # nothing is unknown
    fused, _ = experiments.corpus("")
    assert (len(ids) > len(fused)) == bool(blanks)
    assert vocab.decode(ids).replace(" ", "") == vocab.decode(fused).replace(" ", "")


@settings(deadline=None)
@given(n=st.integers(0, 3000))
def test_the_three_parts_follow_each_other_and_cover_the_text(n):
    ids = torch.arange(n)
    parts = experiments.split(ids)
    assert torch.cat(parts).equal(ids)
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(part) - share * n) < 1


def test_the_parts_of_the_book_are_disjoint_pieces_of_it():
    ids, _ = experiments.corpus(" ")
    train, validation, test = experiments.split(torch.arange(len(ids)))
    assert train[-1] < validation[0]
    assert validation[-1] < test[0]
    assert min(map(len, (train, validation, test))) > 1000


# Scores of single tokens


@pytest.mark.parametrize("chunk", [1, 7, 20, 1000])
def test_static_scores_are_those_of_evaluate(model, ids, chunk):
    scores = experiments.log_probabilities(model, ids, chunk=chunk)
    assert scores.shape == (len(ids) - 1,)
    assert scores.dtype == F64
    assert scores.max() < 0
    assert -scores.mean().item() == pytest.approx(evaluate(model, ids), abs=1e-12)
    logits, _ = copy.deepcopy(model).eval()(ids[None, :-1])
    expected = logits.log_softmax(1)[torch.arange(len(ids) - 1), ids[1:]]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("learning_rate", [0.0, 0.5])
def test_scoring_leaves_the_model_as_it_is(model, ids, learning_rate, training):
    before = weights(model.train(training))
    experiments.log_probabilities(model, ids, learning_rate)
    torch.testing.assert_close(weights(model), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training == training for module in model.modules())


def test_each_chunk_is_scored_before_it_is_learned_from(model, ids):
    """The scores of a chunk depend on the text before it, and on nothing else."""
    static = experiments.log_probabilities(model, ids)
    dynamic = experiments.log_probabilities(model, ids, 0.5)
    assert dynamic[:20].equal(static[:20])
    assert not dynamic[20:].isclose(static[20:]).all()
    # Other text from token 41 on: what is scored up to there does not change.
    other = ids.clone()
    other[41:] = (ids[41:] + 1) % V
    changed = experiments.log_probabilities(model, other, 0.5)
    assert changed[:40].equal(dynamic[:40])


def test_dynamic_scores_equal_a_loop_by_hand(model, ids):
    model.W_hq.data.mul_(20)  # so that there is something to clip
    learner = copy.deepcopy(model).eval()
    state, scores, norms = None, [], []
    for start in (0, 30, 60):
        targets = ids[start + 1 : start + 31]
        inputs = ids[start : start + len(targets)]
        if state is not None:
            state = tuple(part.detach() for part in state)
        logits, state = learner(inputs[None], state)
        scores.append(-F.cross_entropy(logits, targets, reduction="none").detach())
        learner.zero_grad()
        F.cross_entropy(logits, targets).backward()
        norms.append(clip_grad_norm_(learner, 1.0))
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter -= 0.3 * parameter.grad
    dynamic = experiments.log_probabilities(model, ids, 0.3, chunk=30)
    torch.testing.assert_close(dynamic, torch.cat(scores), rtol=0, atol=1e-12)
    assert min(norms[:2]) > 1


def test_dynamic_evaluation_learns_a_text_that_repeats_itself(model):
    ids = torch.arange(V).repeat(20)
    static, dynamic = (
        experiments.log_probabilities(model, ids, rate) for rate in (0.0, 0.5)
    )
    assert dynamic[-V:].mean() > static[-V:].mean() + 0.1


# The runs


@pytest.mark.parametrize("scheme", ["sequential", "random"])
def test_a_classic_run_in_small(narrow, scheme):
    result = experiments.classic(scheme, seed=0, epochs=10)
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
    assert len(result["written"]) == len("time traveller") + 300
    assert len(result["positions"]) == 35
    ids, vocab = experiments.corpus("")
    prefixes = experiments.prefixes_of(ids[10_000:20_000], vocab)
    assert prefixes[:2] == ["time traveller", "traveller"]
    text = vocab.decode(ids[:10_000])
    assert not any(prefix in text for prefix in prefixes[2:])
    for when in ("best", "last"):
        for way in ("greedy", "drawn"):
            assert len(result[when][way]) == len(prefixes)
            assert all(0 <= share <= 1 for share in result[when][way])


def test_losses_by_position_are_those_of_windows_that_begin_with_zeros(narrow):
    ids, vocab = experiments.corpus("")
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
        first = experiments.classic("random", seed=1, epochs=1)
        torch.manual_seed(1)
        assert experiments.classic("random", seed=1, epochs=1) == first
    assert experiments.classic("random", seed=2, epochs=1) != first


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_run_on_the_whole_book_in_small(small, kind):
    with torch.random.fork_rng():
        result = experiments.recurrent(kind, 8, seed=0, epochs=3, rate=0.02)
    curve = result["curve"]
    assert [point["epoch"] for point in curve] == [1, 2, 3]
    assert curve[-1]["train"] < curve[0]["train"] < 29
    for name in ("weights", "ema"):
        assert result[name]["validation"] == min(point[name] for point in curve)
        assert 1 < result[name]["test"] < 29
    assert curve[0]["weights"] != curve[0]["ema"]


@pytest.mark.parametrize("steps", [5, 10, 20, 40, 50, 80])
def test_minibatches_of_every_length_have_as_many_tokens(small, steps, monkeypatch):
    """Else the learning-rate cycle would end too early, which is an error."""
    fit, sizes = experiments.fit, []

    def watch(model, make_batches, optimiser, epochs, **options):
        for _ in range(50):
            sizes.append([X.numel() for X, _ in make_batches()])
        return fit(model, make_batches, optimiser, epochs, **options)

    monkeypatch.setattr(experiments, "fit", watch)
    with torch.random.fork_rng():
        experiments.recurrent("RNN", 4, seed=0, steps=steps, epochs=2)
    assert {size for epoch in sizes for size in epoch} == {1600}
    assert max(map(len, sizes)) <= len(small[0]) * 8 // 10 // 1600 + 1


def test_a_seed_fixes_a_run_on_the_whole_book(small):
    with torch.random.fork_rng():
        first, same, other = (
            experiments.recurrent("GRU", 4, seed=seed, epochs=1) for seed in (0, 0, 1)
        )
    assert first == same
    assert first != other


def test_the_epoch_is_chosen_on_the_validation_text_and_tested_once(small, monkeypatch):
    _, validation, test = experiments.split(small[0])
    # Perplexities of the weights and of their average, epoch by epoch.
    script, measured, tested = iter([9, 6, 7, 8, 8, 7]), [], []

    def scripted(model, text):
        if text.equal(test):
            tested.append(weights(model))
            return math.log(len(tested))
        assert text.equal(validation)
        measured.append(weights(model))
        return math.log(next(script))

    monkeypatch.setattr(experiments, "evaluate", scripted)
    with torch.random.fork_rng():
        result = experiments.recurrent("GRU", 4, seed=0, epochs=3)
    approx = pytest.approx
    assert result["weights"] == {"validation": approx(7), "test": approx(1)}
    assert result["ema"] == {"validation": approx(6), "test": approx(2)}
    assert len(measured) == 6
    # The weights of epoch 2, the average after epoch 1.
    torch.testing.assert_close(tested, [measured[2], measured[1]], rtol=0, atol=0)


def test_the_scores_of_a_run_are_those_of_its_averaged_weights(small):
    with torch.random.fork_rng():
        result = experiments.recurrent("GRU", 4, seed=0, epochs=2, scores=True)
    _, validation, test = experiments.split(small[0])
    for part, text in (("validation", validation), ("test", test)):
        scores = result["scores"][part]
        assert len(scores["static"]) == len(scores["dynamic"]) == len(text) - 1
        static, dynamic = (torch.tensor(s, dtype=F64) for s in scores.values())
        assert perplexity(-static.mean()) == pytest.approx(result["ema"][part], 1e-5)
        assert static[:20].equal(dynamic[:20])
        assert dynamic.mean() > static.mean()
    json.dumps(result)


def test_the_table_of_ngrams_in_small(small):
    ids, vocab = small
    train, validation, test = experiments.split(ids)
    table = experiments.ngrams(range(1, 4))
    assert list(table) == ["1", "2", "3"]
    for order, row in table.items():
        model = WittenBell(train, int(order), len(vocab))
        for part, text in (("validation", validation), ("test", test)):
            inverse = 1 / model.probabilities(text)
            mean = inverse.log().mean().exp().item()
            assert row[part] == pytest.approx(mean)


# Mixtures


@pytest.fixture
def runs(monkeypatch):
    """Return two made-up runs with the scores of every token, and a text without order.

    They are never far off on the test text, but often are on the validation text,
    so that there the 5-gram, which knows next to nothing, is worth its weight.
    """
    vocab = Vocab("abcdefghijklmnopqrstuvwxyz ")
    ids = torch.randint(1, V, (2000,), generator=seeded(9))
    monkeypatch.setattr(experiments, "corpus", lambda join: (ids, vocab))
    runs = {}
    for seed in (0, 1):
        scores, generator = {}, seeded(seed)
        for name, power in (("validation", 9), ("test", 1)):
            draws = torch.rand(2, 199, generator=generator, dtype=F64)
            static, dynamic = (power * (0.05 + 0.9 * draws).log()).tolist()
            scores[name] = {"static": static, "dynamic": dynamic}
        runs[f"LSTM 512 {seed}"] = {"curve": [], "scores": scores}
    return runs, ids


def test_mixtures_are_means_of_probabilities(runs):
    results, ids = runs
    train, validation, test = experiments.split(ids)
    parts = {"validation": validation, "test": test}
    counts = WittenBell(train, 5, V)
    p = {
        (way, name, seed): torch.tensor(
            results[f"LSTM 512 {seed}"]["scores"][name][way], dtype=F64
        ).exp()
        for way in ("static", "dynamic")
        for name in parts
        for seed in (0, 1)
    }
    ngram = {name: counts.probabilities(part) for name, part in parts.items()}

    def score(probabilities):
        return (1 / probabilities).log().mean().exp().item()

    table = experiments.combinations(results)
    for way in ("static", "dynamic"):
        row, choices = table[way], [w / 20 for w in range(1, 20)]
        for name in parts:
            alone = [p[way, name, seed] for seed in (0, 1)]
            together = (alone[0] + alone[1]) / 2
            w = row["weight together"]
            expected = {
                "alone": [score(a) for a in alone],
                "with 5-gram": [
                    score(v * a + (1 - v) * ngram[name])
                    for a, v in zip(alone, row["weights"], strict=True)
                ],
                "together": score(together),
                "together with 5-gram": score(w * together + (1 - w) * ngram[name]),
            }
            assert row[name].keys() == expected.keys()
            for key, value in expected.items():
                assert row[name][key] == pytest.approx(value), (way, name, key)
        # The weights are the best on the validation text, whatever the test text says.
        a = p[way, "validation", 1]
        best = min(choices, key=lambda w: score(w * a + (1 - w) * ngram["validation"]))
        assert row["weights"][1] == best < 0.95
        a = (a + p[way, "validation", 0]) / 2
        best = min(choices, key=lambda w: score(w * a + (1 - w) * ngram["validation"]))
        assert row["weight together"] == best < 0.95


def test_the_weights_of_mixtures_do_not_depend_on_the_test_text(runs):
    results, _ = runs
    other = copy.deepcopy(results)
    for run in other.values():
        for way, scores in run["scores"]["test"].items():
            run["scores"]["test"][way] = [20 * score for score in scores]
    one, two = map(experiments.combinations, (results, other))
    for way in ("static", "dynamic"):
        for choice in ("weights", "weight together", "validation"):
            assert one[way][choice] == two[way][choice]
        assert one[way]["test"] != two[way]["test"]


def test_the_scores_of_single_tokens_are_not_kept(runs):
    results, _ = runs
    experiments.combinations(results)
    assert list(results.values()) == [{"curve": []}] * 2


# Keeping a record


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Write below a scratch folder, without processes, jobs that say what they did."""
    done = []

    def work(number):
        done.append(number)
        return {"third": number / 3}

    jobs = {f"job {i}": (work, {"number": i}) for i in range(3)}
    (tmp_path / "companion" / "data").mkdir(parents=True)
    monkeypatch.setattr(experiments, "ROOT", tmp_path)
    monkeypatch.setattr(experiments, "JOBS", {"classic": jobs})
    monkeypatch.setattr(experiments, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(experiments.datasets, "origin", lambda: ("real", "scripted"))
    return done


def test_a_record_holds_every_job_and_where_it_comes_from(job, tmp_path):
    file = experiments.record("classic", workers=1, fresh=False)
    assert file == tmp_path / "companion" / "data" / "records" / "classic.json"
    record = json.loads(file.read_text())
    assert job == [0, 1, 2]
    assert record["results"] == {
        "job 0": {"third": 0.0}, "job 1": {"third": 0.333333},
        "job 2": {"third": 0.666667},
    }  # fmt: skip
    provenance = record["provenance"]
    assert provenance.keys() == experiments.provenance("classic").keys()
    assert provenance["command"] == "python -m companion.experiments classic"
    assert provenance["torch"] == torch.__version__
    assert provenance["seeds"] == list(experiments.SEEDS)
    text = datasets.time_machine_path().read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    assert provenance["sha256 of timemachine.txt"] == digest


def test_finished_jobs_are_not_run_again(job):
    jobs = experiments.JOBS["classic"]
    last = {"job 2": jobs.pop("job 2")}
    experiments.record("classic", workers=1, fresh=False)
    jobs |= last
    file = experiments.record("classic", workers=1, fresh=False)
    assert job == [0, 1, 2]
    first = file.read_text()
    assert experiments.record("classic", workers=1, fresh=False).read_text() == first
    assert job == [0, 1, 2]
    assert experiments.record("classic", workers=1, fresh=True).read_text() == first
    assert job == [0, 1, 2, 0, 1, 2]


def test_a_job_that_fails_leaves_no_record(job, tmp_path):
    def fail():
        raise FloatingPointError("the loss is nan")

    experiments.JOBS["classic"]["job 1"] = (fail, {})
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        experiments.record("classic", workers=1, fresh=False)
    assert not list(tmp_path.glob("companion/data/**/*.json"))


def test_the_record_of_the_whole_book_has_the_mixtures_in_place_of_the_scores(
    job, runs, monkeypatch
):
    results, _ = runs
    results["n-grams"] = {"1": {"test": 16.5}}
    jobs = {key: (lambda run=run: run, {}) for key, run in results.items()}
    monkeypatch.setitem(experiments.JOBS, "whole_book", jobs)
    expected = experiments.combinations(
        {key: dict(run) for key, run in results.items() if key.startswith("LSTM 512")}
    )
    record = json.loads(experiments.record("whole_book", 1, False).read_text())
    assert list(record) == ["provenance", "combinations", "results"]
    assert list(record["results"]) == list(results)
    assert record["results"]["LSTM 512 0"] == {"curve": []}
    assert record["results"]["n-grams"] == {"1": {"test": 16.5}}
    for way in ("static", "dynamic"):
        kept = record["combinations"][way]
        assert kept["weights"] == expected[way]["weights"]
        for key, value in expected[way]["test"].items():
            assert kept["test"][key] == pytest.approx(value, rel=1e-5)


def test_a_record_needs_the_real_data(job, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "origin", lambda: ("sample", "no network"))
    with pytest.raises(SystemExit, match="needs the real data: set COMPANION_DATA"):
        experiments.record("classic", workers=1, fresh=True)
    assert job == []
    assert not list(tmp_path.rglob("*.json"))


def test_a_job_runs_on_one_thread(job):
    torch.set_num_threads(2)
    try:
        assert experiments.run_job("classic", "job 1") == {"third": 1 / 3}
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)


# A part of each record


def recorded(name):
    """Return the results of a record; skip where there is none."""
    if not (RECORDS / f"{name}.json").exists():
        pytest.skip(f"there is no record {name} yet")
    return datasets.record(name)["results"]


@pytest.fixture
def _real_data():
    if datasets.origin()[0] != "real":
        pytest.skip("the records are of the real data, and this is the sample")


@pytest.mark.parametrize("name", ["classic", "whole_book", "truncation"])
def test_a_record_has_the_result_of_every_job(name):
    assert list(recorded(name)) == list(experiments.JOBS[name])


@pytest.mark.usefixtures("_real_data")
def test_the_ngrams_of_the_record_can_be_computed_again():
    table = recorded("whole_book")["n-grams"]
    for order, row in experiments.ngrams(range(1, 6)).items():
        assert row == pytest.approx(table[order], rel=0, abs=1e-5)


@pytest.mark.usefixtures("_real_data")
def test_the_classic_run_of_the_record_begins_like_this_one():
    curve = recorded("classic")["sequential 0"]["curve"]
    again = experiments.classic("sequential", seed=0, epochs=2)["curve"]
    assert [point["epoch"] for point in again] == [1, 2]
    for ours, kept in zip(again, curve[:2], strict=True):
        assert ours["epoch"] == kept["epoch"]
        assert ours["running"] == pytest.approx(kept["running"], rel=1e-3)
        assert ours["train"] == pytest.approx(kept["train"], rel=1e-3)
        assert ours["held_out"] == pytest.approx(kept["held_out"], rel=1e-3)


@pytest.mark.usefixtures("_real_data")
def test_a_run_of_the_truncation_record_begins_like_this_one(monkeypatch):
    results, fit = recorded("truncation"), experiments.fit

    def one_epoch(model, make_batches, optimiser, epochs, **options):
        return fit(model, make_batches, optimiser, 1, **options)

    # The learning-rate cycle is planned for all epochs; only the first is run.
    monkeypatch.setattr(experiments, "fit", one_epoch)
    key, (function, options) = next(
        (key, job)
        for key, job in experiments.JOBS["truncation"].items()
        if job[1]["steps"] == 80 and job[1]["seed"] == 0
    )
    with torch.random.fork_rng():
        (point,) = function(**options)["curve"]
    kept = results[key]["curve"][0]
    assert point == pytest.approx(kept, rel=1e-3)
