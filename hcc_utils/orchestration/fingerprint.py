"""Whether files are as they were: by size and time of change, without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from hcc_utils.study import folders, results


def of(files: Iterable[Path]) -> str:
    """
    A hash of the files' names, sizes and times of change.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Files; one that is not there counts as such.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    seen = hashlib.sha256()
    for file in files:
        seen.update(f"{file}\t{_state(file)}\n".encode())
    return seen.hexdigest()


def below(root: Path) -> Iterator[Path]:
    """
    Every file of a folder that a reader of its images would see, in order; of a file, itself.

    Parameters
    ----------
    root : pathlib.Path
        A folder or a file.

    Yields
    ------
    pathlib.Path
        Files; linked folders are entered, hidden files left out.
    """
    yield from folders.files(root) if root.is_dir() else [root]


def is_kept(fingerprint: str, path: Path) -> bool:
    """
    Whether this is the fingerprint that was kept.

    Parameters
    ----------
    fingerprint : str
        As `of` gives it.
    path : pathlib.Path
        Where one was kept, or none.

    Returns
    -------
    bool
        False where none was kept.
    """
    return path.is_file() and path.read_text("utf-8") == fingerprint


def keep(fingerprint: str, path: Path) -> None:
    """
    Nothing; the fingerprint is kept, where it is not already.

    Parameters
    ----------
    fingerprint : str
        As `of` gives it.
    path : pathlib.Path
        Where to; an equal file is left as it is, its time too.
    """
    if not is_kept(fingerprint, path):
        with results.replacing(path) as temporary:
            temporary.write_text(fingerprint, "utf-8")


def _state(file: Path) -> str:
    if not file.is_file():
        return "missing"
    found = file.stat()
    return f"{found.st_size}\t{found.st_mtime_ns}"
