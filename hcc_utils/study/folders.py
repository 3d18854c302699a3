"""The folders of a centre's patients, and what NBIA's list of a download says they should hold."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

LISTING = "metadata.csv"
_SERIES, _IMAGES, _LOCATION = "Series UID", "Number of Images", "File Location"


class Listed(NamedTuple):
    """
    One series of a download, as NBIA lists it.

    Parameters
    ----------
    line : int
        Where in the list.
    series_instance_uid : str
        Which series.
    patient_id : str
        Whose.
    n_images : int or None
        How many images it has; None where the line is damaged.
    folder : pathlib.Path
        Where its files should be: ``<collection>/<patient>/<study>/<series>`` beside the list.
    """

    line: int
    series_instance_uid: str
    patient_id: str
    n_images: int | None
    folder: Path


def patient_folders(root: Path | str) -> dict[str, tuple[Path, ...]]:
    """
    Each patient's folders below a centre's DICOM root.

    Parameters
    ----------
    root : pathlib.Path or str
        A folder of patients' folders, or of downloads of The Cancer Imaging Archive: what the
        NBIA Data Retriever writes is a folder ``manifest-<id>`` that holds ``metadata.csv`` and
        ``<collection>/<patient>/<study>/<series>/*.dcm``. The root may also be such a download.

    Returns
    -------
    dict of tuple of pathlib.Path
        By patient, in the order of names; several where a patient came in several downloads.
        Empty folders and loose files do not count.
    """
    found: dict[str, list[Path]] = {}
    for folder in _patients(Path(root)):
        if next(_visible(folder), None) is not None:
            found.setdefault(printable(folder.name), []).append(folder)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def printable(name: str) -> str:
    """
    A file's name that can be written down, also where it is no Unicode.

    Parameters
    ----------
    name : str
        As the file system gives it, or a text that holds it.

    Returns
    -------
    str
        With a replacement character for each byte that is no UTF-8.
    """
    return os.fsencode(name).decode("utf-8", "replace")


def files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """
    Every file below a folder, in the order of names.

    Parameters
    ----------
    folder : pathlib.Path
        Where to begin.
    above : frozenset of pathlib.Path, default empty
        Folders already entered: a link back into one of them is not followed.

    Yields
    ------
    pathlib.Path
        The next file, links that lead nowhere too; hidden ones are left out.
    """
    real = folder.resolve()
    if real in above:
        return
    for entry in sorted(_visible(folder), key=lambda entry: entry.name):
        if _is_folder(entry):
            yield from files(Path(entry.path), above | {real})
        elif entry.is_symlink() or entry.is_file():
            yield Path(entry.path)


def listings(root: Path | str) -> tuple[Path, ...]:
    """
    NBIA's lists of the downloads from which a root's patients come.

    Parameters
    ----------
    root : pathlib.Path or str
        A centre's DICOM root.

    Returns
    -------
    tuple of pathlib.Path
        Each ``metadata.csv`` that lists series; none where the images came another way.
    """
    beside = {_beside(f) for found in patient_folders(root).values() for f in found}
    return tuple(sorted(path for path in beside if listed(path)))


def listed(listing: Path) -> tuple[Listed, ...]:
    """
    The series that a list names.

    Parameters
    ----------
    listing : pathlib.Path
        A ``metadata.csv`` as the NBIA Data Retriever writes it.

    Returns
    -------
    tuple of Listed
        One for each line; none where there is no such file, or it is another kind of table.
    """
    if not listing.is_file():
        return ()
    return _read(str(listing), listing.stat().st_mtime_ns)


def listed_images(folder: Path) -> dict[str, int]:
    """
    How many images each series has in the list of the download that a patient's folder is from.

    Parameters
    ----------
    folder : pathlib.Path
        One of a patient's folders.

    Returns
    -------
    dict of int
        By SeriesInstanceUID, for all series of the download; empty where there is no list.
    """
    return {
        one.series_instance_uid: one.n_images
        for one in listed(_beside(folder))
        if one.n_images is not None
    }


def _patients(folder: Path) -> Iterator[Path]:
    """The folders below a root that are a patient's."""
    if _is_download(folder):
        for collection in _subfolders(folder):
            yield from _subfolders(collection)
        return
    for below in _subfolders(folder):
        if _is_download(below):
            yield from _patients(below)
        else:
            yield below


def _is_download(folder: Path) -> bool:
    """Whether the NBIA Data Retriever wrote it: by its name, or by the list in it."""
    return folder.name.startswith("manifest-") or bool(listed(folder / LISTING))


def _beside(folder: Path) -> Path:
    """Where the list of a patient's download is: beside the collection."""
    return folder.absolute().parent.parent / LISTING


def _subfolders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _visible(folder) if _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, hidden things left out."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


@lru_cache(maxsize=64)
def _read(path: str, _changed: int) -> tuple[Listed, ...]:
    """A list's lines, read once for all patients."""
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        if not {_SERIES, _IMAGES, _LOCATION} <= set(rows.fieldnames or ()):
            return ()
        return tuple(_line(Path(path).parent, rows.line_num, row) for row in rows)


def _line(folder: Path, line: int, row: dict[str, str | None]) -> Listed:
    """One line; a damaged one lacks cells."""
    images = row[_IMAGES] or ""
    place = PureWindowsPath(row[_LOCATION] or "").parts  # parted at / and at \ alike
    whole = images.isdecimal() and len(place) == 4
    return Listed(
        line=line,
        series_instance_uid=row[_SERIES] or "",
        patient_id=place[1] if whole else "",
        n_images=int(images) if whole else None,
        folder=folder.joinpath(*place),
    )
