"""Surnames as data: ids, padded minibatches, and a split that no name straddles."""

import itertools
import string
from collections import Counter
from collections.abc import Sequence

from torch import Tensor, tensor
from torch.nn.utils.rnn import pad_sequence
from unidecode import unidecode

from companion.support import arguments, checks, extras

#: The 59 characters of a folded name, the 52 letters and seven more.
ALPHABET = string.ascii_letters + " .,:;-'"

_IDS = {char: i for i, char in enumerate(ALPHABET)}


def fold(name: str) -> str:
    """Replace accented and non-Latin characters by their nearest ASCII spelling.

    Folding loses information: ``ł`` and ``l`` fall together, ``ø`` and ``ö`` and ``o``
    too, and ``ß`` becomes two letters. Blanks at the ends are no part of a name.

    Args:
        name: Any string.

    Returns:
        The folded name. A character without an ASCII spelling stays as it is.

    Raises:
        ValueError: If ``name`` is no string.

    Example:
        >>> fold("Ślusàrski ")
        'Slusarski'
    """
    checks.kind("name", name, str, "a string")
    return unidecode(name, errors="preserve").strip()


def ids(name: str) -> Tensor:
    """Fold a name and look up its characters in ``ALPHABET``.

    Folding happens in here, so training and prediction cannot differ in it.

    Args:
        name: A name; after folding all its characters are in ``ALPHABET``.

    Returns:
        int64, shape ``(n,)``, n being the length after folding.

    Raises:
        ValueError: If ``name`` is not as said.

    Example:
        >>> ids("Ábe")
        tensor([26,  1,  4])
    """
    checks.kind("name", name, str, "a string")
    folded = fold(name)
    if not folded:
        checks.refuse("name", name, "at least one character that is no blank")
    unknown = sorted(set(folded) - set(ALPHABET))
    if unknown:
        checks.refuse("name", name, f"{ALPHABET!r} after folding, not {unknown[:10]}")
    return tensor([_IDS[char] for char in folded])


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put ids of different lengths into one matrix, time first.

    Args:
        sequences: N tensors of ids, 0 ... 58, shape ``(n,)`` each, n at least 1.

    Returns:
        int64, shape ``(T, N)``, T being the greatest length, with zeros after the end
        of a sequence (zero is the id of ``a``, too: only the lengths tell where a name
        ends), and the lengths, int64, shape ``(N,)``, on the CPU.

    Raises:
        ValueError: If there is no sequence, or one is not as said.

    Example:
        >>> pad([tensor([8, 19, 14]), tensor([1])])
        (tensor([[ 8,  1],
                [19,  0],
                [14,  0]]), tensor([3, 1]))
    """
    columns = arguments.sequences(sequences, len(ALPHABET))
    return pad_sequence(columns), tensor([len(column) for column in columns])


def split(
    names: Sequence[str],
    labels: Sequence[int],
    *,
    test_size: float = 0.1,
    seed: int = 0,
) -> tuple[list[int], list[int]]:
    """Hold out a part of the rows so that the two sides share no folded name.

    The unit that is dealt out is the name: all its rows, whatever their labels, go to
    one side. scikit-learn deals the names out by strata of equal label, for a name of
    several labels the rarest of them, so that each label has its share on both sides.

    Args:
        names: Names, folded or not.
        labels: Label of each name, as many, integers from 0 up.
        test_size: Share of the names that is held out, between 0 and 1.
        seed: Of the shuffling.

    Returns:
        The positions of the rows to train with, and of those held out, both ascending.

    Raises:
        ValueError: If an argument is not as said, or a label has fewer than two names.

    Example:
        >>> split(["Abe", "Ito", "Ábe", "Oda"], [0, 0, 0, 0], test_size=0.4)
        ([3], [0, 1, 2])
    """
    names = checks.as_strings("names", names)
    labels = checks.ids(labels, checks.LARGEST, name="labels", dims=1)
    checks.number("test_size", test_size, "between 0 and 1", lambda s: 0 < s < 1)
    checks.sizes(least=0, seed=seed)
    if len(names) != len(labels):
        said = f"{len(names)} names, {len(labels)} labels"
        raise ValueError(f"{said}; accepted: as many of each")
    # Here, since the import alone takes more than a second.
    selection = extras.load("sklearn.model_selection", "scikit-learn")
    labels = labels.tolist()
    frequency = Counter(labels)
    rows: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        rows.setdefault(fold(name), []).append(place)
    strata = [
        min((labels[place] for place in places), key=lambda k: (frequency[k], k))
        for places in rows.values()
    ]
    try:
        sides = selection.train_test_split(
            list(rows.values()), test_size=test_size, stratify=strata, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"{len(rows)} names cannot be dealt out by their labels, with test_size "
            f"{test_size}: {error}; accepted: two names or more of each label, and one "
            "for each on each side"
        ) from error
    train, held_out = (sorted(itertools.chain(*side)) for side in sides)
    return train, held_out
