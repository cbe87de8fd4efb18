"""Valid values for the rows of names, the same each time, and what calls with them."""

import contextlib
import io

import torch
from torch import nn

from companion import classifier
from companion.classify import command as terminal
from companion.classify import joint
from companion.laboratory import name_training
from tests.abuse_values import F64, as_asked, pieces

K = 3
IDS = [[1, 8], [1, 19], [1, 14]]
SOME = ["abe", "ito", "oda", "ando", "ono", "ueda"]
ROWS = {"Czech": ["Zed", "Ábl", "Abl"], "Irish": ["Abl"]}


def made(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.GRU(59, 4, bidirectional=True, dtype=F64)
        model = kind(layer, K, **options)
        for p in model.parameters():
            p.data.normal_()
    model.languages = ("Czech", "Greek", "Irish")
    return as_asked(model)


def plain():
    return made(classifier.NameClassifier)


def both():
    return made(joint.JointClassifier, longest=2, known=[2, 9, 20, 80, 600])


def padded():
    return {"ids": torch.tensor(IDS), "lengths": torch.tensor([1, 3])}


def sequences():
    return {
        "sequences": [torch.tensor([i] * (i % 3 + 1)) for i in range(5)],
        "labels": torch.tensor([0, 1, 2, 0, 1]),
    }


def seen(build):
    """Build a network from arguments, and look at it."""

    def call(layer=..., **others):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = nn.GRU(59, 4, bidirectional=True) if layer is ... else layer
            made = build(layer, **others)
        return made.output.weight.shape, made.dropout.p

    return call


def unclipped(arguments):
    """Return what a step along the whole gradient does."""
    (ids, lengths, labels), model = *arguments["minibatches"], plain()
    loss = nn.functional.cross_entropy(model(ids, lengths), labels)
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return loss.detach(), pieces(model)


def trained(model, optimiser=..., **others):
    if optimiser is ...:
        owner = model if isinstance(model, nn.Module) else plain()
        optimiser = torch.optim.SGD(owner.parameters(), lr=0.1)
    loss = name_training.train_on_names(model, optimiser=optimiser, **others)
    return torch.tensor(loss, dtype=F64), pieces(model)


def command(arguments):
    """Run the command: its status, whether it printed, its lines on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = terminal.main(arguments)
        except SystemExit as end:
            status = end.code
    assert not err.getvalue() or "companion.classify: " in err.getvalue()
    return status, bool(out.getvalue()), err.getvalue().count("\n")
