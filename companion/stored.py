"""A joint classifier as a file: its weights with few bits, the names of its classes."""

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

    Weights keep 16 bits each, the scores of pieces 8: for each class the largest one is
    written as 127 or -127, the others in proportion, to the nearest whole number.

    Args:
        model: The classifier; it has direct connections.
        languages: K names of classes, in the order of the labels.
        path: Of the file.
    """
    state = {
        name: value.half() if value.is_floating_point() else value.int()
        for name, value in model.state_dict().items()
    }
    table = state.pop("direct.weight").float()
    scale = table.abs().amax(0).clamp(min=1e-6) / 127  # (K,)
    stored = {
        "hidden": model.layer.hidden_size,
        "direct": model.longest,
        "languages": list(languages),
        "state": state,
        "scale": scale,
        "scores": (table / scale).round().to(torch.int8),
    }
    torch.save(stored, path)


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
    table = stored["scores"] * stored["scale"]
    # Loading converts to the types of the model.
    model.load_state_dict(stored["state"] | {"direct.weight": table})
    model.languages = tuple(stored["languages"])
    return model.eval()


def provenance() -> dict:
    """Tell how the classifier that ships was made, and how good it is.

    Returns:
        The command, the settings, versions, the checksums of the data and of the file,
        and the scores on the test part.
    """
    return json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
