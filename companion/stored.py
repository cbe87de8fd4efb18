"""A joint classifier as a file: 16 bits a weight, and the names of its classes."""

import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from companion.joint import JointClassifier
from companion.names import ALPHABET

#: The classifier that ships with the package.
SHIPPED = Path(str(importlib.resources.files("companion") / "data" / "classifier.pt"))


def store(model: JointClassifier, languages: Sequence[str], path: Path) -> None:
    """Write a classifier around a GRU.

    Args:
        model: The classifier; it has direct connections.
        languages: K names of classes, in the order of the labels.
        path: Of the file.
    """
    state = {
        name: value.half() if value.is_floating_point() else value.int()
        for name, value in model.state_dict().items()
    }
    settings = {"hidden": model.layer.hidden_size, "direct": model.longest}
    torch.save(settings | {"languages": list(languages), "state": state}, path)


def read(path: Path) -> JointClassifier:
    """Read what :func:`store` wrote; only tensors, numbers and strings are unpickled.

    Args:
        path: Of the file.

    Returns:
        The classifier, float32, in evaluation mode, with the attribute ``languages``, a
        tuple of strings in the order of the labels.
    """
    stored = torch.load(path, weights_only=True)
    model = JointClassifier(
        nn.GRU(len(ALPHABET), stored["hidden"], bidirectional=True),
        len(stored["languages"]),
        direct=stored["direct"],
        known=stored["state"]["known"].long(),
    )
    model.load_state_dict(stored["state"])  # converts to the types of the model
    model.languages = tuple(stored["languages"])
    return model.eval()


def provenance() -> dict:
    """Tell how the classifier that ships was made, and how good it is.

    Returns:
        The command, the settings, versions, the checksums of the data and of the file,
        and the scores on the test part.
    """
    return json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
