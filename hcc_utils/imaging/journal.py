"""
What a walk read of the files, kept in one file so that the next walk reads only what changed.

It holds paths, patients' names and UIDs: like the inventory beside which it stands, it stays inside
the hospital.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import pydicom

from hcc_utils.imaging import elements, headers
from hcc_utils.imaging.headers import Header
from hcc_utils.study import results

_SAID = [field.name for field in fields(Header) if field.name != "path"]
_values = attrgetter(*_SAID)
_CLOCK_STEP_NS = 2_000_000_000  # of the coarsest file system (FAT)

Entry = tuple[list[int], list[Any]]


class Known:
    """
    One patient's files, each read only if it is not what an earlier walk read.

    A file counts as unchanged if its path below the root, its size, the time of its last change
    and its inode are the same. Neither files that could not be read nor those that changed within
    the last two seconds are kept: they are read once more.

    Parameters
    ----------
    root : pathlib.Path
        The folder that is walked.
    file : pathlib.Path or None
        The journal of an earlier walk; where it is damaged, something else or not there, all is
        read. With None nothing is kept either.
    patient : str
        Whose part of it.
    """

    def __init__(self, root: Path, file: Path | None, patient: str) -> None:
        self._root = root
        self._is_kept = file is not None
        self._old = _unpacked(_kept(file, patient)) if file else {}
        self._new: dict[str, Entry] = {}

    def read(self, path: Path) -> tuple[Header, ...]:
        """
        What a file says of each of its slices.

        Parameters
        ----------
        path : pathlib.Path
            A file below the root.

        Returns
        -------
        tuple of Header
            As `headers.read` gives it.

        Raises
        ------
        ImagingError
            As `headers.read` does.
        """
        if not self._is_kept:
            return headers.read(path)
        settled_ns = time.time_ns() - _CLOCK_STEP_NS
        state = _state(path)
        name = str(path.relative_to(self._root))
        known, values = self._old.get(name, ([], []))
        if state and known == state:
            found = tuple(_header(path, said) for said in values)
        else:
            found = headers.read(path)
            values = [_values(header) for header in found]
        if state and state[1] < settled_ns:
            self._new[name] = state, values
        return found

    def packed(self) -> bytes:
        """
        What was read, for the next walk.

        Returns
        -------
        bytes
            Compressed, with a check sum.
        """
        return zlib.compress(json.dumps([_version(), self._new]).encode(), level=1)


@contextmanager
def renewed(file: Path | None) -> Iterator[Callable[[str, bytes], None]]:
    """
    A function that keeps one patient's part in a new journal, which then replaces the old one.

    Parameters
    ----------
    file : pathlib.Path or None
        The journal; with None nothing is kept.

    Yields
    ------
    callable
        Takes the patient and what `Known.packed` gave. Patients who are not named are forgotten,
        unless the block is interrupted: then what an earlier walk kept of them stays.
    """
    if file is None:
        yield lambda *_: None
        return
    interruption: BaseException | None = None
    with results.replacing(file) as new, closing(sqlite3.connect(new, uri=True)) as journal:
        journal.execute("CREATE TABLE patients (name TEXT PRIMARY KEY, read BLOB)")
        try:
            yield lambda patient, read: _keep(journal, patient, read)
        except BaseException as error:
            interruption = error
            _keep_rest(journal, file)
        journal.commit()
    if interruption is not None:
        raise interruption


def _keep(journal: sqlite3.Connection, patient: str, read: bytes) -> None:
    journal.execute("INSERT INTO patients VALUES (?, ?)", (patient, read))


def _keep_rest(journal: sqlite3.Connection, file: Path) -> None:
    """Take over from an older journal what this walk did not come to."""
    journal.commit()
    with suppress(sqlite3.Error):
        journal.execute("ATTACH ? AS old", (_unchanging(file),))
        journal.execute("INSERT OR IGNORE INTO patients SELECT name, read FROM old.patients")


def _kept(file: Path, patient: str) -> bytes:
    """One patient's part of a journal, if there is one."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(_unchanging(file), uri=True)) as journal:
        found = journal.execute("SELECT read FROM patients WHERE name = ?", (patient,)).fetchone()
        return bytes(found[0]) if found and isinstance(found[0], bytes) else b""
    return b""


def _unchanging(file: Path) -> str:
    """The address under which a file is read without locks: nobody writes into it."""
    return f"{file.absolute().as_uri()}?mode=ro&immutable=1"


def _state(path: Path) -> list[int]:
    """What changes where a file does; nothing where it leads nowhere."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ino]


def _header(path: Path, values: list[Any]) -> Header:
    """A header from the values that were kept: JSON knows no tuples."""
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in zip(_SAID, values, strict=True)
    }
    return Header(path=path, **plain)


def _unpacked(read: bytes) -> dict[str, Entry]:
    """What was kept, if it is whole and was read as files are read now."""
    with suppress(zlib.error, ValueError):
        version, entries = json.loads(zlib.decompress(read))
        return dict(entries) if version == _version() else {}
    return {}


@lru_cache
def _version() -> str:
    """How headers are read now: another way may have read other things."""
    code = b"".join(Path(str(room.__file__)).read_bytes() for room in (elements, headers))
    return hashlib.sha256(code + pydicom.__version__.encode()).hexdigest()
