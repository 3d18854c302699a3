"""The names, numbers and UIDs of a study's patients, held as hashes to be compared with."""

from __future__ import annotations

import hashlib
import html
import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from urllib.parse import unquote

from hcc_utils.checks import Problems
from hcc_utils.imaging import privacy
from hcc_utils.study import tables
from hcc_utils.study.manifest import Manifest

Words = tuple[str, ...]

_WORD = re.compile(r"[0-9]+(?:\.[0-9]+){4,}|[^\W_]+")  # a UID is one word
_ACCENT = re.compile(r"[\u0300-\u036f]+")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_FEWEST_CHARACTERS = 4  # of an identity in which letters and digits mix
_FEWEST_LETTERS = 6  # of a name of two words
_FEWEST_DIGITS = 7  # of a number: shorter ones are counts, colours and years


@dataclass(frozen=True, kw_only=True)
class Identities:
    """
    What must not leave, known only by hashes whose key dies with this process.

    Parameters
    ----------
    key : bytes
        Of the hashes.
    kinds : mapping of bytes to str
        For each identity's hash, its kind, such as "PatientName".
    starts : mapping of bytes to tuple of int
        For the hash of each first word, how many words an identity that starts so may have.
    unsearchable : mapping of str to int
        By kind, how many identities are too short or too plain to be told from other words.
    places : tuple of str
        Folders of this machine, with slashes.
    unread : tuple of str
        Centres whose table could not be read: their patients' ids are not known.
    """

    key: bytes = field(repr=False)
    kinds: Mapping[bytes, str] = field(repr=False)
    starts: Mapping[bytes, tuple[int, ...]] = field(repr=False)
    unsearchable: Mapping[str, int]
    places: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def in_text(self, text: str) -> Iterator[tuple[str, int]]:
        """
        The identities in a text.

        Letters' case, accents, the signs between words and their encoding (HTML, JSON, URL) make
        no difference.

        Parameters
        ----------
        text : str
            Any.

        Yields
        ------
        tuple of str and int
            The kind, and the line (from 1) in which it stands.
        """
        plain = _plain(text)
        starting = {
            word: lengths
            for word in set(_WORD.findall(plain))
            if (lengths := self.starts.get(self._hash((word,))))
        }
        if not starting:
            return
        found = list(_WORD.finditer(plain))
        words = tuple(match[0] for match in found)
        for place, word in enumerate(words):
            for length in starting.get(word, ()):
                kind = self.kinds.get(self._hash(words[place : place + length]))
                if kind is not None:
                    yield kind, plain.count("\n", 0, found[place].start()) + 1

    def _hash(self, words: Words) -> bytes:
        return _hash(self.key, words)


def of(
    values: Mapping[str, Iterable[str]],
    *,
    places: Iterable[Path | str] = (),
    unread: Iterable[str] = (),
) -> Identities:
    """
    Identities to be looked for.

    Looked for are UIDs, words in which letters and digits mix (from 4 characters on), numbers from
    7 digits on, whole names of two words in any order, and birth dates in their usual forms.
    Shorter numbers and single words stand everywhere by chance: they are counted as unsearchable.

    Parameters
    ----------
    values : mapping of str to iterable of str
        By kind; the keywords ``PatientName`` and ``PatientBirthDate`` are read as DICOM writes
        them. The first kind that holds a value gives its name.
    places : iterable of pathlib.Path or str, optional
        Absolute folders of this machine.
    unread : iterable of str, optional
        Centres whose patients are not known.

    Returns
    -------
    Identities
        Their hashes.
    """
    key = secrets.token_bytes(16)
    kinds: dict[bytes, str] = {}
    starts: dict[bytes, set[int]] = {}
    unsearchable: Counter[str] = Counter()
    for kind, said in values.items():
        for value in dict.fromkeys(said):
            forms = [words for words in _forms(kind, value) if _is_searchable(words)]
            unsearchable[kind] += not forms
            for words in forms:
                kinds.setdefault(_hash(key, words), kind)
                starts.setdefault(_hash(key, words[:1]), set()).add(len(words))
    return Identities(
        key=key,
        kinds=kinds,
        starts={word: tuple(sorted(lengths)) for word, lengths in starts.items()},
        unsearchable={kind: count for kind, count in unsearchable.items() if count},
        places=tuple(dict.fromkeys(path.as_posix() for path in map(Path, places) if path.name)),
        unread=tuple(unread),
    )


def of_study(
    manifest: Manifest,
    centres: Iterable[str] | None = None,
    *,
    places: Iterable[Path | str] = (),
    workers: int = 2,
) -> Identities:
    """
    The identities of a study's patients: of its tables, its folders and its DICOM headers.

    Parameters
    ----------
    manifest : Manifest
        The study.
    centres : iterable of str, optional
        Whose patients; by default all.
    places : iterable of pathlib.Path or str, optional
        More folders of this machine, such as that of the results.
    workers : int, default 2
        Processes that read headers.

    Returns
    -------
    Identities
        With the home folder and the study's folders as places.
    """
    names = tuple(manifest.centres if centres is None else centres)
    patients: set[str] = set()
    unread = []
    for name in names:
        try:
            patients |= set(tables.read(manifest, name)["patient_id"])
            patients |= manifest.folders(name)
        except Problems:
            unread.append(name)
    roots = [root for name in names for root in _roots(manifest, name)]
    values = {"patient_id": frozenset(patients), **privacy.values(*roots, workers=workers)}
    own = (Path.home(), Path(manifest.data_root).absolute(), manifest.source.absolute().parent)
    return of(values, places=(*own, *places), unread=unread)


def _roots(manifest: Manifest, name: str) -> list[Path]:
    """A centre's folders that hold DICOM files."""
    roots = (manifest.path(name, "dicom"), manifest.path(name, "roi"))
    return [root for root in roots if root is not None and root.is_dir()]


def _plain(text: str) -> str:
    """Text without encodings, accents and capitals; its lines stay lines."""
    if "&" in text:
        text = html.unescape(text)
    if "\\u" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    if "%" in text:
        text = unquote(text)
    if text.isascii():
        return text.lower()
    return _ACCENT.sub("", unicodedata.normalize("NFKD", text).casefold())


def _words(text: str) -> Words:
    return tuple(_WORD.findall(_plain(text)))


def _hash(key: bytes, words: Words) -> bytes:
    said = " ".join(words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=key, digest_size=16).digest()


def _forms(kind: str, value: str) -> set[Words]:
    """The ways in which an identity may be written."""
    if kind == "PatientName":
        return {form for name in value.split("=") for form in _name_forms(name)}
    if kind == "PatientBirthDate":
        return _date_forms(value)
    return {_words(value)}


def _name_forms(name: str) -> set[Words]:
    """A name as it is written, and its family and given name in both orders."""
    parts = [_words(part) for part in name.split("^")[:2]]
    orders = permutations([part for part in parts if part])
    return {_words(name), *(sum(order, ()) for order in orders)}


def _date_forms(date: str) -> set[Words]:
    """A date as DICOM writes it, and with the year, the day or the month first."""
    digits = re.sub(r"\D", "", date)
    if len(digits) != 8:
        return {_words(date)}
    year, month, day = digits[:4], digits[4:6], digits[6:]
    plain = [(y, m.lstrip("0"), d.lstrip("0")) for y, m, d in [(year, month, day)]]
    written = [(year, month, day), *plain]
    ordered = [((y, m, d), (d, m, y), (m, d, y)) for y, m, d in written]
    return {(digits,), *(form for forms in ordered for form in forms)}


def _is_searchable(words: Words) -> bool:
    """Whether these words hardly stand anywhere by chance."""
    joined = "".join(words)
    if joined.isdigit() or not any(character.isalnum() for character in joined):
        return len(joined) >= _FEWEST_DIGITS or _is_date(words)
    if any(character.isdigit() for character in joined):
        return len(joined) >= _FEWEST_CHARACTERS
    return len(words) >= 2 and len(joined) >= _FEWEST_LETTERS


def _is_date(words: Words) -> bool:
    """Whether three numbers look like a date with a year of four digits."""
    return len(words) == 3 and sorted(map(len, words))[-1] == 4
