"""Measure the companion's speed as ratios, all contestants in one process.

    python -m tests.benchmarks [--json FILE] [--rounds N] [--one-thread] [--compiled]

The contestants take turns, so that a slow moment of the machine hits all of them, and
each ratio is of two contestants of the same round: first on one thread, then, beside
``--compiled``, on one that does without AVX-512, then on all, then on a GPU if there is
one. The JSON has the median ratios of one thread at its top level (higher is better),
and next to them everything that was measured and where.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from tqdm import tqdm

from companion import datasets
from tests.benchmarks import layers, names


def processor() -> str:
    """Name the processor as well as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def alternate(
    contestants: dict[str, Callable],
    rounds: int,
    device: str,
    label: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time each contestant once a round, in turns.

    Returns:
        Seconds of each round, by the clock.
    """

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    seconds = {name: [] for name in contestants}
    for turn in tqdm(range(-3, rounds), desc=label, disable=not sys.stderr.isatty()):
        for name, run in contestants.items():
            wait()
            start = clock()
            run()
            wait()
            if turn >= 0:  # the first rounds warm up
                seconds[name].append(clock() - start)
    return seconds


def processor_seconds() -> float:
    """Return the processor time of this process and of those it has waited for."""
    return sum(os.times()[:4])


def spread(rounds: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the quartiles of each number over the rounds."""
    return {
        name: statistics.quantiles([one[name] for one in rounds], n=4)
        for name in rounds[0]
    }


def middle(quartiles: dict[str, list[float]]) -> dict[str, float]:
    """Return the medians alone."""
    return {name: median for name, (_, median, _) in quartiles.items()}


def report(title: str, tables: dict[str, dict[str, list[float]]]) -> None:
    """Print tables of quartiles."""
    print(f"\n{title}")
    for heading, table in tables.items():
        print(f"  {heading}")
        for name, (low, median, high) in table.items():
            print(f"    {name:32s} {median:8.3f}   ({low:.3f} ... {high:.3f})")


def measure(
    threads: int, rounds: int, device: str = "cpu", compiled: bool = False
) -> dict:
    """Run the layers' contest on so many threads.

    One thread is timed by the processor time that it used, which leaves out what other
    programs take; more than one, and a GPU, by the clock on the wall. Ratios are of two
    contestants of the same round; medians and quartiles are over the rounds.
    """
    torch.set_num_threads(threads)
    # What torch.compile takes is timed: in this process, and not read from a cache.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    cache = tempfile.TemporaryDirectory()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name
    where = "GPU" if device == "cuda" else f"{threads} thread" + "s" * (threads > 1)
    alone = threads == 1 and device == "cpu"
    contestants = layers.steps(device, rungs=alone, compiled=compiled)
    warm_up = {}
    for name, run in contestants.items():
        if "compiled" in name:
            start = processor_seconds()
            run()
            warm_up[name] = processor_seconds() - start
    clock = time.process_time if alone else time.perf_counter
    seconds = alternate(contestants, rounds, device, where, clock)
    turns = [
        dict(zip(seconds, turn, strict=True))
        for turn in zip(*seconds.values(), strict=True)
    ]
    milliseconds = spread([{k: 1e3 * s for k, s in turn.items()} for turn in turns])
    ratios = spread([layers.ratios(turn) for turn in turns])
    to_library = spread([layers.to_library(turn) for turn in turns])
    tables = {"ms": milliseconds, "times as fast": to_library, "ratios": ratios}
    report(where, tables)
    return {
        "clock": clock.__name__,
        "load": [round(x, 1) for x in os.getloadavg()] if alone else None,
        "warm-up": warm_up,
        "milliseconds": middle(milliseconds),
        "ratios": middle(ratios),
        "to PyTorch's layer": middle(to_library),
        "quartiles": {"ratios": ratios, "to PyTorch's layer": to_library},
    }


#: What makes PyTorch, oneDNN and MKL do without AVX-512.
WITHOUT_AVX512 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def measure_without_avx512(rounds: int) -> dict:
    """Run the contest of one thread in a process that does without AVX-512."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        command = [sys.executable, "-m", "tests.benchmarks", "--one-thread"]
        command += ["--layers-only", "--rounds", str(rounds), "--json", str(file)]
        subprocess.run(command, env={**os.environ, **WITHOUT_AVX512}, check=True)
        return json.loads(file.read_text())["results"]["one thread"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the result to this file")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument(
        "--one-thread", action="store_true", help="leave out the run on all threads"
    )
    parser.add_argument(
        "--layers-only", action="store_true", help="leave out the names"
    )
    parser.add_argument(
        "--compiled", action="store_true", help="torch.compile too (takes minutes)"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 3:
        parser.error(f"--rounds is {arguments.rounds}; accepted: 3 or more")
    if arguments.json and not arguments.json.parent.is_dir():
        parser.error(f"--json: there is no folder {arguments.json.parent}")

    every = os.cpu_count() or 1
    rounds = arguments.rounds
    result = {"one thread": measure(1, rounds, compiled=arguments.compiled)}
    if torch.backends.cpu.get_cpu_capability() == "AVX512" and arguments.compiled:
        result["one thread without AVX-512"] = measure_without_avx512(rounds)
    if every > 1 and not arguments.one_thread:
        result["all threads"] = measure(every, rounds)
    if torch.cuda.is_available():
        result["GPU"] = measure(every, rounds, "cuda")
    epochs = {} if arguments.layers_only else names.measure()
    if epochs:
        print("\nan epoch of the names, 1 thread")
    for name, ratio in epochs.items():
        print(f"  {name:36s} {ratio:6.2f}")
    top = {**result["one thread"]["ratios"], **epochs}
    options = " --one-thread" * arguments.one_thread
    options += " --compiled" * arguments.compiled
    provenance = {
        "command": f"python -m tests.benchmarks --rounds {rounds}{options}",
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads of the machine": every,
        "data": datasets.origin()[0],
    }
    if torch.cuda.is_available():
        provenance["GPU"] = torch.cuda.get_device_name()
    content = {**top, "provenance": provenance, "results": result}
    if arguments.json:
        rounded = json.loads(
            json.dumps(content), parse_float=lambda x: round(float(x), 3)
        )
        arguments.json.write_text(json.dumps(rounded, indent=1) + "\n")
        print(f"\nwritten: {arguments.json}")


if __name__ == "__main__":
    main()
