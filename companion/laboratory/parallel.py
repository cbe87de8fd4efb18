"""Data-parallel training of a name classifier: one process a device, one model in all.

    torchrun --standalone --nproc-per-node 2 -m companion.laboratory.parallel

Each process reads its part of every minibatch. DistributedDataParallel averages the
gradients over the processes during ``backward``, so that all take the same step.
"""

import argparse
import os
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from companion import datasets, names
from companion.classifier import NameClassifier, log_probabilities
from companion.laboratory.name_training import batches, check_minibatch
from companion.laboratory.surnames import distinct, mend_rows
from companion.stepping import take_step
from companion.support import checks


def local_loss(
    model: nn.Module, minibatch: tuple[Tensor, Tensor, Tensor], rank: int, world: int
) -> Tensor:
    """Read every ``world``-th name, and scale the loss for the mean over processes.

    With ``M / N * (sum over the part)`` in each of M processes the mean over the
    processes is that over the N names, also where parts differ in size. A process
    without a name reads one with weight zero, since the others wait for its gradients.

    Args:
        model: Maps padded ids ``(T, N)`` and lengths ``(N,)`` to logits ``(N, K)``.
        minibatch: Of :func:`companion.laboratory.name_training.batches`, the same in
            every process.
        rank: Number of this process, from 0.
        world: M, number of processes.

    Returns:
        The loss, nats, shape ``()``.

    Raises:
        ValueError: If ``rank`` is not in 0 ... M - 1, or another argument is not as
            said.
    """
    checks.model(model)
    checks.sizes(world=world)
    checks.sizes(least=0, rank=rank)
    if rank >= world:
        checks.refuse("rank", rank, f"0 ... {world - 1}")
    ids, lengths, labels = check_minibatch(minibatch)
    mine = torch.arange(len(labels))[rank::world]
    scale = world / len(labels) if len(mine) else 0.0
    mine = mine if len(mine) else torch.tensor([0])
    like, own = next(model.parameters(), ids), lengths[mine]
    logits = model(ids[: own.max(), mine].to(like.device), own)
    labels = checks.ids(labels, logits.shape[1], name="labels")[mine]
    return scale * F.cross_entropy(logits, labels.to(logits.device), reduction="sum")


def train(epochs: int, batch_size: int, hidden_size: int) -> float:
    """Train in this process as one of those that torchrun has started.

    Args:
        epochs: How often every name is read.
        batch_size: Names of a minibatch, in all processes together.
        hidden_size: Units of each direction.

    Returns:
        Accuracy on held-out names.

    Raises:
        ValueError: If an argument is no integer from 1 up, or the processes have not
            joined.
        FloatingPointError: If a loss or a gradient stops being finite. The process ends
            with it, and torchrun ends the others.
    """
    checks.sizes(epochs=epochs, batch_size=batch_size, hidden_size=hidden_size)
    if not dist.is_initialized():
        raise ValueError("the process group is None; accepted: one, see main")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device("cpu")
    if dist.get_backend() == "nccl":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    rows, labels = distinct(mend_rows(datasets.names())[0])
    inside, outside = names.split(rows, labels)
    sequences = [names.ids(rows[i]) for i in inside]
    targets = [labels[i] for i in inside]
    torch.manual_seed(0)  # the same weights everywhere
    layer = nn.LSTM(len(names.ALPHABET), int(hidden_size), bidirectional=True)
    model = NameClassifier(layer, len(datasets.LANGUAGES)).to(device)
    shared = DistributedDataParallel(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    generator = torch.Generator().manual_seed(0)  # the same minibatches everywhere
    for epoch in range(1, epochs + 1):
        began, total = time.perf_counter(), torch.zeros((), device=device)
        dealt = batches(sequences, targets, batch_size, generator=generator)
        for step, minibatch in enumerate(dealt, start=1):
            loss = local_loss(shared, minibatch, rank, world)
            where = f"epoch {epoch}, step {step}"
            value, _ = take_step(model, loss, optimiser, 1.0, where)
            total += value * len(minibatch[2]) / world
        dist.all_reduce(total)
        if rank == 0:
            speed = len(inside) / (time.perf_counter() - began)
            print(f"epoch {epoch}: {total / len(inside):.3f} nats, {speed:.0f} names/s")
    predicted = log_probabilities(model, [rows[i] for i in outside]).argmax(1).cpu()
    correct = predicted == torch.tensor([labels[i] for i in outside])
    return correct.double().mean().item()


@record  # an error in a process is shown in torchrun's summary
def main() -> None:
    """Join the processes that torchrun has started, train, and say how well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--hidden-size", type=int, default=128)
    options = parser.parse_args()
    try:
        checks.sizes(**vars(options))
    except ValueError as error:
        parser.error(str(error))
    if "RANK" not in os.environ:
        raise SystemExit("start it with torchrun: see the first lines of its module")
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # A process that waits longer than this for the others gives up.
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(minutes=2))
    accuracy = train(**vars(options))
    if dist.get_rank() == 0:
        print(f"held-out accuracy {100 * accuracy:.1f} %")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
