"""The rows of surnames made ready for training: mended, normal, distinct, one-hot."""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, float32

from companion.classify.door import normalise
from companion.names import ALPHABET, fold, ids
from companion.support import checks
from companion.text import one_hot

#: The link to a page, which every language's file holds by accident.
PAGE_LINK = "To The First Page"


def encode(name: str) -> Tensor:
    """Fold a name and write it as one-hot rows, one for each character.

    Args:
        name: See :func:`companion.names.ids`.

    Returns:
        float32, shape ``(n, 1, 59)``: n time steps of a minibatch that holds this one
        name, n being the length after folding.

    Raises:
        ValueError: See :func:`companion.names.ids`.

    Example:
        >>> encode("Abe").shape
        torch.Size([3, 1, 59])
    """
    return one_hot(ids(name), len(ALPHABET), dtype=float32).unsqueeze(1)


def _check_rows(rows: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the rows of each language as lists; refuse what is no table of strings."""
    checks.kind("rows", rows, Mapping, "a mapping from languages to their rows")
    return {
        language: checks.as_strings("rows", group) for language, group in rows.items()
    }


def mend_rows(
    rows: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Mend or drop the rows that are scraping accidents, and count each kind.

    Blanks are trimmed and runs of them (non-breaking ones too) become one space;
    trailing commas and colons go; the page link "To The First Page" goes; so does
    a row with a character that folding leaves outside ``ALPHABET`` (a digit, a
    slash), since no rule could say what the name was. Duplicates stay: whether they
    are harmful depends on the split. Nothing is folded here.

    Args:
        rows: Rows of each language, as :func:`companion.datasets.names` returns them.

    Returns:
        The mended names of each language in their order, and the counts ``rows``,
        ``blanks mended``, ``trailing mark cut``, ``page link dropped``,
        ``foreign character dropped``, ``empty dropped``, ``kept``. Only kept rows count
        as mended or cut.

    Raises:
        ValueError: If ``rows`` is no mapping to several strings each.

    Example:
        >>> mend_rows({"Czech": [" Abl,", "Maxa1"]})[0]
        {'Czech': ['Abl']}
    """
    rows = _check_rows(rows)
    counts = {
        "rows": sum(map(len, rows.values())),
        "blanks mended": 0,
        "trailing mark cut": 0,
        "page link dropped": 0,
        "foreign character dropped": 0,
        "empty dropped": 0,
    }
    names: dict[str, list[str]] = {language: [] for language in rows}
    for language, raws in rows.items():
        for raw in raws:
            spaced = " ".join(raw.split())
            name = re.sub(r"[ ,:]+$", "", spaced)
            if name == PAGE_LINK:
                counts["page link dropped"] += 1
            elif not fold(name):
                counts["empty dropped"] += 1
            elif set(fold(name)) - set(ALPHABET):
                counts["foreign character dropped"] += 1
            else:
                counts["blanks mended"] += spaced != raw
                counts["trailing mark cut"] += name != spaced
                names[language].append(name)
    counts["kept"] = sum(map(len, names.values()))
    return names, counts


def distinct(rows: Mapping[str, Sequence[str]]) -> tuple[list[str], list[int]]:
    """Fold all names, and keep each pair of name and language once.

    A name of several languages stays once in each of them.

    Args:
        rows: Names of each language.

    Returns:
        The folded names, sorted within their language, and their labels, the positions
        of the languages among the keys.

    Raises:
        ValueError: If ``rows`` is no mapping to several strings each.

    Example:
        >>> distinct({"Czech": ["Zed", "Ábl", "Abl"], "Irish": ["Abl"]})
        (['Abl', 'Zed', 'Abl'], [0, 0, 1])
    """
    pairs = [
        (name, label)
        for label, names in enumerate(_check_rows(rows).values())
        for name in sorted(set(map(fold, names)))
    ]
    return [name for name, _ in pairs], [label for _, label in pairs]


def examples(
    rows: Mapping[str, Sequence[str]],
) -> tuple[list[str], list[int], list[str]]:
    """Normalise all rows, and keep each pair of name and language once.

    Args:
        rows: Rows of each language, as :func:`companion.datasets.names` returns them.

    Returns:
        The normal names, sorted within their language; their labels, the positions of
        the languages among the keys; and the rows that were refused, in their order:
        the link "To The First Page", and what
        :func:`~companion.classify.door.normalise` refuses.

    Raises:
        ValueError: If ``rows`` is no mapping to several strings each.

    Example:
        >>> examples({"Czech": ["Zed", "Ábl", "abl"], "Irish": ["Abl", "R2D2"]})
        (['abl', 'zed', 'abl'], [0, 0, 1], ['R2D2'])
    """
    link = normalise(PAGE_LINK)
    names, labels, refused = [], [], []
    for label, group in enumerate(_check_rows(rows).values()):
        kept = set()
        for row in group:
            try:
                name = normalise(row)
            except ValueError:
                name = link
            if name == link:
                refused.append(row)
            else:
                kept.add(name)
        names += sorted(kept)
        labels += [label] * len(kept)
    return names, labels, refused
