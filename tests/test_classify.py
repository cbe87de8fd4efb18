"""The classifier that ships: its file and scores, the call, the command, its making."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from companion import datasets
from companion.classifier import NameClassifier, log_probabilities
from companion.classify import classify, command, load
from companion.classify.stored import SHIPPED, provenance, read
from companion.experiments import train_classifier
from companion.experiments.spelling import SpellingClassifier, known_ngrams, store
from companion.names import ids
from companion.support import files

ROOT = Path(__file__).parents[1]

KNOWN = {
    "Papadopoulos": "Greek",
    "Ivanovsky": "Russian",
    "O'Connell": "Irish",
    "Kowalczyk": "Polish",
    "Yamamoto": "Japanese",
    "Nguyen": "Vietnamese",
}


# The file


def test_the_file_is_small_packaged_and_as_recorded():
    assert SHIPPED.stat().st_size < 1_000_000
    made = provenance()
    assert (
        hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
        == made["sha256 of classifier.pt"]
    )
    assert made["command"].startswith(
        "python -m companion.experiments.train_classifier"
    )
    assert made["settings"].keys() == train_classifier.SETTINGS.keys()
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    files = packaged["tool"]["setuptools"]["package-data"]["companion"]
    assert "data/classifier.*" in files


def test_the_weights_are_those_of_the_default_settings():
    """What the command says today makes what ships."""
    assert provenance()["command"] == "python -m companion.experiments.train_classifier"
    assert provenance()["settings"] == train_classifier.SETTINGS


def test_loading_gives_a_network_of_its_own_in_evaluation_mode():
    model = load()
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.languages == datasets.LANGUAGES
    stored = torch.load(SHIPPED, weights_only=True)["state"]
    heads = sum(v.numel() for k, v in stored.items() if "guess" in k)
    count = sum(p.numel() for p in model.parameters())
    assert count + heads == provenance()["parameters"]
    before = classify("Ivanov")
    with torch.no_grad():
        model.output.bias[0] = 100.0
    assert classify("Ivanov") == before
    assert classify("Ivanov", model)[0][0] == "Arabic"


def test_the_scores_on_the_test_part_are_those_recorded():
    if datasets.origin()[0] != "real":
        pytest.skip("needs the real data")
    training, test = train_classifier.parts(datasets.names())
    made = provenance()
    assert not set(training[0]) & set(test[0])
    assert len(training[0]) == made["names to train with"]
    assert len(test[0]) == made["names to test with"]
    found = train_classifier.scores(test[1], log_probabilities(load(), test[0]))
    for measure, value in made["test"].items():
        assert found[measure] == pytest.approx(value, abs=0.002), measure
    assert found["accuracy"] > 0.83
    assert found["macro F1"] > 0.5
    listed = {k: v for k, v in files.CHECKSUMS.items() if k.startswith("names/")}
    sums = "".join(f"{v}  {k}\n" for k, v in sorted(listed.items()))
    assert (
        hashlib.sha256(sums.encode()).hexdigest()
        == made["sha256 of the SHA256SUMS of names/"]
    )


def test_what_is_stored_comes_back_with_few_bits(tmp_path):
    torch.manual_seed(0)
    known = known_ngrams([ids(name) for name in ("abe", "ito")], 2)
    model = SpellingClassifier(
        nn.GRU(59, 5, bidirectional=True), 3, longest=2, known=known
    ).eval()
    nn.init.normal_(model.direct.weight)
    store(model, ["Czech", "Greek", "Irish"], tmp_path / "a.pt")
    stored = torch.load(tmp_path / "a.pt", weights_only=True)
    kept = {value.dtype for value in stored["state"].values()}
    assert kept == {torch.float16, torch.int32}
    assert stored["scores"].dtype == torch.int8
    back = read(tmp_path / "a.pt")
    assert back.languages == ("Czech", "Greek", "Irish")
    assert back.known.equal(known)
    for key, value in model.state_dict().items():
        if "head" in key:
            assert key not in back.state_dict()  # it served training alone
            continue
        off = 1 / 253 * value.abs().amax(0) if "direct" in key else 1e-3 * value.abs()
        assert ((back.state_dict()[key] - value).abs() <= off + 1e-5).all(), key
    names = ["abel", "o'neil", "ito"]
    torch.testing.assert_close(
        log_probabilities(back, names),
        log_probabilities(model, names),
        rtol=0,
        atol=0.05,
    )


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    torch.save({"hidden": Evil()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt'; accepted: a file") as caught:
        read(tmp_path / "a.pt")
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)


def test_loading_draws_no_number_and_asks_for_no_default():
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        model = load()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.get_rng_state().equal(before)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in model.parameters())


# The call


@pytest.mark.parametrize("name", KNOWN)
def test_names_that_leave_little_doubt(name):
    (language, p), second, third = classify(name)
    assert language == KNOWN[name]
    assert 1 >= p > second[1] > third[1] > 0


def test_a_single_name_gives_pairs_and_several_give_a_list_of_them():
    names = list(KNOWN)
    several = classify(names, k=4)
    assert [len(best) for best in several] == [4] * len(names)
    for name, best in zip(names, several, strict=True):
        alone = classify(name, k=4)
        assert [language for language, _ in alone] == [k for k, _ in best]
        assert [p for _, p in alone] == pytest.approx([p for _, p in best], abs=1e-5)
    assert classify(tuple(names), k=4) == several
    assert classify(np.array(names), k=4) == several
    assert classify((name for name in names), k=4) == several
    assert classify(np.str_(names[0]), k=4) == classify(names[0], k=4)
    assert classify([]) == []
    assert sum(p for _, p in classify("Ito", k=18)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["PAPADOPOULOS", "papadopoulos", "  Papadopoulos ", "Pàpadópoulos,"]
)
def test_capitals_blanks_and_accents_make_no_difference(name):
    assert classify(name) == classify("Papadopoulos")


def test_another_apostrophe_makes_no_difference():
    assert classify("O\N{RIGHT SINGLE QUOTATION MARK}Brien") == classify("o'brien")


@pytest.mark.parametrize("name", ["", "  ", "R2D2", "Иванов", "王", "a" * 41])
def test_what_cannot_be_read_is_refused_by_name(name):
    shown = re.escape(repr(name)[:20])
    for names in (name, ["Ito", name]):
        with pytest.raises(ValueError, match=shown + ".*accepted"):
            classify(names)


@pytest.mark.parametrize(
    "names", [None, 5, np.array("Ito"), np.float64(1), b"Ito", {1: "Ito"}]
)
def test_what_holds_no_strings_is_refused(names):
    with pytest.raises(ValueError, match="accepted: several strings"):
        classify(names)


@pytest.mark.parametrize("names", [[None], [5], [["Ito"]], [b"Ito"]])
def test_what_holds_something_else_is_refused(names):
    with pytest.raises(ValueError, match="accepted: a string"):
        classify(names)


@pytest.mark.parametrize("k", [0, 19, 2.5, "2", True])
def test_a_number_of_languages_out_of_range_is_refused(k):
    for names in ("Ito", []):
        with pytest.raises(ValueError, match=f"k is {k!r}; accepted: 1 "):
            classify(names, k=k)


def test_another_model_answers_in_its_own_languages():
    torch.manual_seed(0)
    model = NameClassifier(nn.GRU(59, 4), 18).train()
    found = classify(["Ito", "ABE"], model, k=18)
    logs = log_probabilities(model, ["ito", "abe"])
    for best, row in zip(found, logs.exp(), strict=True):
        assert dict(best) == dict(zip(datasets.LANGUAGES, row.tolist(), strict=True))
        assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)
    assert model.training
    model = NameClassifier(nn.GRU(59, 4), 2)
    with pytest.raises(ValueError, match="model has 2 classes; accepted: 18, or its"):
        classify("Ito", model)
    model.languages = ("Here", "There")
    with torch.no_grad():
        model.output.bias[0] = torch.nan
    with pytest.raises(ValueError, match="model"):
        classify("Ito", model, k=2)
    torch.nn.init.zeros_(model.output.bias)
    assert {language for language, _ in classify("Ito", model, k=2)} == {
        "Here",
        "There",
    }


# The command


def run(*arguments, **settings):
    kept = {k: v for k, v in os.environ.items() if k != "COMPANION_DATA"}
    return subprocess.run(
        [sys.executable, "-m", "companion.classify", *arguments],
        cwd=ROOT,
        env=kept | {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""} | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_prints_a_table_without_data_or_network(tmp_path):
    found = run("Nguyen", "O'Brien", XDG_CACHE_HOME=str(tmp_path))
    assert found.returncode == 0
    assert found.stderr == ""
    lines = found.stdout.splitlines()
    assert len(lines) == 6
    for line, name in zip(lines[::3], ["Nguyen", "O'Brien"], strict=True):
        language, p = classify(name)[0]
        assert line.split() == [name, language, f"{p:.2f}"]
    assert not list(tmp_path.iterdir())  # nothing was downloaded


def test_a_name_that_the_terminal_cannot_show_is_escaped():
    found = run("Ślusàrski", "-k", "1", PYTHONIOENCODING="ascii")
    assert found.returncode == 0
    assert found.stdout.split()[:2] == [r"\u015alus\xe0rski", "Polish"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["R2D2"], "name 'R2D2' holds ['2']; accepted: Latin letters"),
        (["Ito", ""], "name is ''; accepted: at least one letter"),
        (["Иванов"], "name 'Иванов' holds"),
        (["Ito", "-k", "0"], "k is 0; accepted: 1 "),
        (["Ito", "-k", "19"], "k is 19; accepted: 1 ... 18"),
        (["Ito", "-k", "x"], "argument -k: invalid int value: 'x'"),
        ([], "the following arguments are required: NAME"),
        (["--nonsense", "Ito"], "unrecognized arguments: --nonsense"),
    ],
)
def test_an_error_is_one_line_and_status_2(arguments, message, capsys):
    try:
        status = command.main(arguments)
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.startswith(f"python -m companion.classify: {message}")
    assert said.err.count("\n") == 1


def test_the_command_hands_its_status_on():
    assert run("R2D2").returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="pipes close in another way there")
def test_nobody_reading_is_no_error():
    """As `| head -1` does; nothing but the status says it."""
    command = [sys.executable, "-m", "companion.classify", "Ito"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        process.stdout.close()  # long before the first line
        said = process.stderr.read()
        assert (process.wait(timeout=120), said) == (1, b"")


# Its making


def test_training_in_small_writes_what_can_be_read(tmp_path, capsys):
    small = {"hidden": 4, "epochs": 1, "batch_size": 512}
    made = train_classifier.make(tmp_path, train_classifier.SETTINGS | small)
    path = tmp_path / "classifier.pt"
    assert (
        made["sha256 of classifier.pt"] == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    model = read(path)
    heads = 2 * (4 + 1) * 59
    count = sum(p.numel() for p in model.parameters())
    assert made["parameters"] == count + heads
    _, test = train_classifier.parts(datasets.names())
    found = train_classifier.scores(test[1], log_probabilities(model, test[0]))
    assert found == made["test"]
    assert made["settings"]["hidden"] == 4
    assert json.dumps(made)
    assert "epoch 1: loss " in capsys.readouterr().err


def test_the_average_of_the_weights_is_kept_and_training_is_repeatable():
    rows = {"Czech": ["Abel", "Zak", "Novak"] * 3, "Greek": ["Pappas", "Gatos"]}
    part = ["abel", "zak", "pappas", "gatos"], [0, 0, 1, 1]
    settings = train_classifier.SETTINGS | {"hidden": 4, "epochs": 3, "batch_size": 2}
    models = [train_classifier.train(part, settings, len(rows)) for _ in range(2)]
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        assert a.equal(b)
    other = train_classifier.train(part, settings | {"average": 0.0}, len(rows))
    assert not other.output.weight.equal(models[0].output.weight)


def test_the_sample_makes_no_classifier(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(datasets, "origin", lambda: ("sample", "says the test"))
    monkeypatch.setattr(train_classifier, "SHIPPED", tmp_path / "classifier.pt")
    assert train_classifier.main([]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_settings_of_the_command_line_are_recorded(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(datasets, "origin", lambda: ("real", "says the test"))
    monkeypatch.setattr(train_classifier, "SHIPPED", tmp_path / "classifier.pt")
    options = ["--hidden", "3", "--epochs", "1", "--batch-size", "512"]
    assert train_classifier.main(options) == 0
    made = json.loads((tmp_path / "classifier.json").read_text("utf-8"))
    assert made["command"] == " ".join(
        [
            "python -m companion.experiments.train_classifier",
            *options[:4],
            "--batch-size 512",
        ]
    )
    assert made["settings"]["epochs"] == 1
    assert json.loads(capsys.readouterr().out) == made
