"""The book's long experiments, recorded with their provenance.

    python -m companion.experiments NAME [--workers 2]

runs one of them on the real data and writes ``companion/data/records/NAME.json``, from
which the chapters draw. Finished jobs are kept below ``_build/experiments/NAME``: an
interrupted run goes on where it stopped, and ``--fresh`` begins anew. Each job uses one
thread and its own seed, so a record does not depend on the number of workers.
"""

import argparse
import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from types import ModuleType

import torch
from tqdm import tqdm

from companion import datasets
from companion.experiments import (
    classic,
    counts,
    gates,
    layers,
    memory,
    name_contest,
    name_search,
    names,
    whole_book,
)
from companion.support import files

ROOT = Path(__file__).parents[2]
SEEDS = range(5)  # where the options of no job name one

#: Each has its JOBS: for each experiment what is run, by name; DATA: "time machine" if
#: it says nothing, "names" or None; SUMMARIES: what an experiment keeps besides.
MODULES = (
    classic,
    whole_book,
    names,
    name_search,
    name_contest,
    memory,
    counts,
    layers,
    gates,
)
OF: dict[str, ModuleType] = {name: module for module in MODULES for name in module.JOBS}
JOBS: dict[str, dict[str, tuple[Callable, dict]]] = {
    name: module.JOBS[name] for name, module in OF.items()
}


def checksums(name: str) -> dict:
    """Return the checksum of the data that an experiment runs on."""
    data = getattr(OF[name], "DATA", "time machine")
    if data is None:
        return {}
    if data == "names":
        listed = {k: v for k, v in files.CHECKSUMS.items() if k.startswith("names/")}
        sums = "".join(f"{v}  {k}\n" for k, v in sorted(listed.items()))
        return {"sha256 of the SHA256SUMS of names/": _sha256(sums.encode())}
    data = datasets.time_machine_path().read_bytes()
    return {"sha256 of timemachine.txt": _sha256(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def provenance(name: str) -> dict:
    named = {options.get("seed") for _, options in JOBS[name].values()} - {None}
    return {
        "command": f"python -m companion.experiments {name}",
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "threads per job": 1,
        "seeds": sorted(named or SEEDS),
        **checksums(name),
    }


def run_job(experiment: str, key: str) -> dict:
    torch.set_num_threads(1)
    function, options = JOBS[experiment][key]
    return function(**options)


def record(experiment: str, workers: int, fresh: bool) -> Path:
    if datasets.origin()[0] != "real":
        raise SystemExit("A record needs the real data: set COMPANION_DATA.")
    kept = ROOT / "_build" / "experiments" / experiment
    if fresh:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    results = {}
    with ProcessPoolExecutor(workers) as pool:
        running = {}
        for key in JOBS[experiment]:
            file = kept / f"{key}.json"
            if file.exists():
                results[key] = json.loads(file.read_text())
            else:
                running[pool.submit(run_job, experiment, key)] = key
        for future in tqdm(as_completed(running), total=len(running), unit="job"):
            key = running[future]
            results[key] = future.result()
            (kept / f"{key}.json").write_text(json.dumps(results[key]))
    content = {"provenance": provenance(experiment)}
    summary = getattr(OF[experiment], "SUMMARIES", {}).get(experiment)
    if summary is not None:
        content.update(summary(results))
    content["results"] = {key: results[key] for key in JOBS[experiment]}
    target = ROOT / "companion" / "data" / "records" / f"{experiment}.json"
    target.parent.mkdir(exist_ok=True)
    rounded = json.loads(json.dumps(content), parse_float=lambda x: round(float(x), 6))
    target.write_text(json.dumps(rounded, indent=1) + "\n")
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m companion.experiments", description=__doc__.split("\n")[0]
    )
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="forget finished jobs")
    options = parser.parse_args(arguments)
    print(record(options.name, options.workers, options.fresh))
