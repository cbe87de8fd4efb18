"""How a record is kept: its jobs, where it comes from, what is gone on with."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from companion import datasets, records
from companion.experiments import recording
from companion.support import files


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Write below a scratch folder, without processes, jobs that say what they did."""
    done = []

    def work(number):
        done.append(number)
        return {"third": number / 3}

    jobs = {f"job {i}": (work, {"number": i}) for i in range(3)}
    (tmp_path / "companion" / "data").mkdir(parents=True)
    monkeypatch.setattr(recording, "ROOT", tmp_path)
    monkeypatch.setattr(recording, "JOBS", {"classic": jobs})
    monkeypatch.setattr(recording, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(recording.datasets, "origin", lambda: ("real", "scripted"))
    return done


def test_a_record_holds_every_job_and_where_it_comes_from(job, tmp_path):
    file = recording.record("classic", workers=1, fresh=False)
    assert file == tmp_path / "companion" / "data" / "records" / "classic.json"
    record = json.loads(file.read_text())
    assert job == [0, 1, 2]
    assert record["results"] == {
        "job 0": {"third": 0.0}, "job 1": {"third": 0.333333},
        "job 2": {"third": 0.666667},
    }  # fmt: skip
    provenance = record["provenance"]
    assert provenance.keys() == recording.provenance("classic").keys()
    assert provenance["command"] == "python -m companion.experiments classic"
    assert provenance["torch"] == torch.__version__
    assert provenance["seeds"] == list(recording.SEEDS)
    text = datasets.time_machine_path().read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    assert provenance["sha256 of timemachine.txt"] == digest


def test_finished_jobs_are_not_run_again(job):
    jobs = recording.JOBS["classic"]
    last = {"job 2": jobs.pop("job 2")}
    recording.record("classic", workers=1, fresh=False)
    jobs |= last
    file = recording.record("classic", workers=1, fresh=False)
    assert job == [0, 1, 2]
    first = file.read_text()
    assert recording.record("classic", workers=1, fresh=False).read_text() == first
    assert job == [0, 1, 2]
    assert recording.record("classic", workers=1, fresh=True).read_text() == first
    assert job == [0, 1, 2, 0, 1, 2]


def test_a_job_that_fails_leaves_no_record(job, tmp_path):
    def fail():
        raise FloatingPointError("the loss is nan")

    recording.JOBS["classic"]["job 1"] = (fail, {})
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        recording.record("classic", workers=1, fresh=False)
    assert not list(tmp_path.glob("companion/data/**/*.json"))


def test_a_record_needs_the_real_data(job, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "origin", lambda: ("sample", "no network"))
    with pytest.raises(SystemExit, match="needs the real data: set COMPANION_DATA"):
        recording.record("classic", workers=1, fresh=True)
    assert job == []
    assert not list(tmp_path.rglob("*.json"))


def test_a_job_runs_on_one_thread(job):
    torch.set_num_threads(2)
    try:
        assert recording.run_job("classic", "job 1") == {"third": 1 / 3}
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)


def test_the_summary_of_an_experiment_stands_before_its_results(job, monkeypatch):
    def summary(results):
        return {"sum": sum(result.pop("third") for result in results.values())}

    module = SimpleNamespace(SUMMARIES={"classic": summary}, DATA="names")
    monkeypatch.setitem(recording.OF, "classic", module)
    record = json.loads(recording.record("classic", 1, fresh=False).read_text())
    assert list(record) == ["provenance", "sum", "results"]
    assert record["sum"] == 1
    assert record["results"] == {f"job {i}": {} for i in range(3)}
    assert "sha256 of the SHA256SUMS of names/" in record["provenance"]


# The records


@pytest.mark.parametrize("name", recording.JOBS)
def test_a_record_has_every_job_its_summary_and_the_data(name):
    record = records.load(name)
    assert list(record["results"]) == list(recording.JOBS[name])
    kept = {
        "whole_book": ["combinations"],
        "lab_a": ["static", "dynamic", "line"],
        "lab_d_folds": ["frozen"],
        "lab_d": ["test", "nats", "rows"],
    }
    assert list(record) == ["provenance", *kept.get(name, []), "results"]
    origin = record["provenance"]
    sums = {key: value for key, value in origin.items() if "sha256" in key}
    if datasets.origin()[0] == "real":
        assert sums == recording.checksums(name)
    elif "sha256 of timemachine.txt" in sums:
        assert list(sums.values()) == [files.CHECKSUMS["timemachine.txt"]]
    assert origin["threads per job"] == 1


def test_every_experiment_belongs_to_one_module():
    named = [name for module in recording.MODULES for name in module.JOBS]
    assert len(named) == len(set(named)) == len(recording.JOBS)
    for module in recording.MODULES:
        assert set(getattr(module, "SUMMARIES", {})) <= set(module.JOBS)
        assert getattr(module, "DATA", None) in ("names", None)
