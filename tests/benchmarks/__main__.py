"""Measure the companion's speed as ratios, all contestants in one process.

    python -m tests.benchmarks [--json FILE] [--rounds N] [--one-thread]

The contestants take turns, so that a slow moment of the machine hits all of them, and
medians are compared: first on one thread, then on all, then on a GPU if there is one.
The JSON has the ratios of one thread at its top level (higher is better), and next to
them everything that was measured and where.
"""

import argparse
import json
import os
import platform
import statistics
import sys
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
    contestants: dict[str, Callable], rounds: int, device: str, label: str
) -> dict[str, list[float]]:
    """Time each contestant once a round, in turns.

    Returns:
        Seconds of each round.
    """

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    seconds = {name: [] for name in contestants}
    for turn in tqdm(range(-3, rounds), desc=label, disable=not sys.stderr.isatty()):
        for name, run in contestants.items():
            wait()
            start = time.perf_counter()
            run()
            wait()
            if turn >= 0:  # the first rounds warm up
                seconds[name].append(time.perf_counter() - start)
    return seconds


def report(title: str, seconds: dict[str, list[float]], ratios: dict) -> None:
    """Print medians, the middle half of the rounds, and the ratios."""
    print(f"\n{title}")
    for name, times in seconds.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(times, n=4))
        print(f"  {name:20s} {median:8.2f} ms   (half of all {low:.2f} ... {high:.2f})")
    for name, ratio in ratios.items():
        print(f"  {name:32s} {ratio:6.2f}")


def measure(threads: int, rounds: int, device: str = "cpu") -> dict:
    """Run the layers' contest on so many threads."""
    torch.set_num_threads(threads)
    where = "GPU" if device == "cuda" else f"{threads} thread" + "s" * (threads > 1)
    seconds = alternate(layers.steps(device), rounds, device, where)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = layers.ratios(medians)
    report(where, seconds, ratios)
    milliseconds = {name: round(1e3 * s, 3) for name, s in medians.items()}
    return {"milliseconds": milliseconds, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the result to this file")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument(
        "--one-thread", action="store_true", help="leave out the run on all threads"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 3:
        parser.error(f"--rounds is {arguments.rounds}; accepted: 3 or more")
    if arguments.json and not arguments.json.parent.is_dir():
        parser.error(f"--json: there is no folder {arguments.json.parent}")

    every = os.cpu_count() or 1
    result = {"one thread": measure(1, arguments.rounds)}
    if every > 1 and not arguments.one_thread:
        result["all threads"] = measure(every, arguments.rounds)
    if torch.cuda.is_available():
        result["GPU"] = measure(every, arguments.rounds, "cuda")
    epochs = names.measure()
    print("\nan epoch of the names, 1 thread")
    for name, ratio in epochs.items():
        print(f"  {name:36s} {ratio:6.2f}")
    top = {**result["one thread"]["ratios"], **epochs}
    provenance = {
        "command": f"python -m tests.benchmarks --rounds {arguments.rounds}",
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
