"""A process group of one, in this process, and few names to train with."""

import contextlib
import random
import tempfile
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist

from companion import datasets


def few_names(number=10):
    """Return so many names of each language, of letters that tell the languages."""
    rng = random.Random(0)
    found = {}
    for k, language in enumerate(datasets.LANGUAGES):
        letters = [chr(ord("a") + (k + i) % 26) for i in range(4)]
        rows = ["".join(rng.choices(letters, k=rng.randint(2, 6))) for _ in range(99)]
        found[language] = sorted(set(rows))[:number]
    return found


@contextlib.contextmanager
def alone(group=True):
    """Let this process be the only one of a group, and the names be few."""
    usual, threads = dist.init_process_group, torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        where = {"init_method": f"file://{Path(folder, 'store')}", "rank": 0}

        def join(backend, **_):
            usual(backend, world_size=1, **where)

        few = mock.patch.object(datasets, "names", few_names)
        joining = mock.patch.object(dist, "init_process_group", join)
        with few, joining, mock.patch("torch.cuda.is_available", return_value=False):
            if group:
                dist.init_process_group("gloo")
            try:
                yield
            finally:
                if dist.is_initialized():
                    dist.destroy_process_group()
                torch.set_num_threads(threads)
