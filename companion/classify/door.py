"""The one door of a name, be it a row of a file or what a reader types."""

import re
import unicodedata

from unidecode import unidecode

from companion.support import checks

#: The 29 characters of a normal name.
WRITTEN = "abcdefghijklmnopqrstuvwxyz '-"
#: Characters of the longest name that is read; the longest of the data has 20.
LONGEST = 40

# What keyboards and transliterations write for an apostrophe.
_APOSTROPHES = dict.fromkeys(map(ord, "‘’‛ʹʻʼʽˈ′`´"), "'")


def normalise(name: str) -> str:
    """Write a name in the one way in which classifiers see names.

    Blanks are trimmed and runs of them become one; a comma or colon at the end goes;
    accents and capitals go (``Ślusàrski`` becomes ``slusarski``, ``Groß`` becomes
    ``gross``), and so do invisible characters; an apostrophe of another kind becomes
    the plain one. A letter that is not Latin is refused and not transliterated: no name
    of the training data was written in another script, and what ``unidecode`` makes of
    one need not be how the name is spelt (it reads every Chinese character in Mandarin,
    of Japanese names, too).

    Args:
        name: Any string.

    Returns:
        1 ... 40 of the characters of ``WRITTEN``, a letter among them. Normalising it
        again changes nothing.

    Raises:
        ValueError: If ``name`` is no string, or holds a character that is no Latin
            letter, blank, hyphen or apostrophe, or a Latin letter without a plain
            spelling (``ə``), or no letter, or is too long.

    Example:
        >>> normalise(" O’BRIEN,")
        "o'brien"
    """
    checks.kind("name", name, str, "a string")
    shown = name if len(name) <= 2 * LONGEST else name[:LONGEST] + "..."
    kept = re.sub(r"[\s,:]+$", "", name.translate(_APOSTROPHES))
    spelt = {char: _spell(char) for char in kept}
    foreign = sorted(char for char, said in spelt.items() if said is None)
    if foreign:
        raise ValueError(
            f"name {shown!r} holds {foreign[:10]}; accepted: Latin letters, blanks, "
            "hyphens and apostrophes"
        )
    found = " ".join("".join(spelt[char] for char in kept).split())
    if not any(char.isalpha() for char in found):
        raise ValueError(f"name is {shown!r}; accepted: at least one letter")
    if len(found) > LONGEST:
        raise ValueError(
            f"name {shown!r} has {len(found)} characters; accepted: at most {LONGEST}"
        )
    return found


def _spell(char: str) -> str | None:
    """Spell a character with those of ``WRITTEN``; None if there is no way."""
    category = unicodedata.category(char)
    if category == "Cs":  # half a character, of which unidecode warns
        return None
    if category == "Cf":  # invisible: a soft hyphen, a joiner
        return ""
    spelt = " " if char.isspace() else unidecode(char, errors="preserve").lower()
    # A letter, or what unidecode spells with letters, as it does the euro sign.
    worded = any(c.isalpha() for c in char + spelt)
    if worded and "LATIN" not in unicodedata.name(char, ""):
        return None
    return spelt if set(spelt) <= set(WRITTEN) else None
