"""CT series: what is in a folder, what is wrong with it, and Hounsfield units of one slice."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
from pydicom.config import disable_value_validation
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from hcc_utils import checks
from hcc_utils.imaging import elements, headers, integrity, journal, parallel, rules
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.study import folders
from hcc_utils.study.folders import LISTING

Hounsfield = npt.NDArray[np.float32]

_ELEMENT_START = 12  # bytes of tag, type and length before encapsulated pixels
_PIXELS_BEGIN = {
    str(ExplicitVRLittleEndian): b"\xe0\x7f\x10\0OW\0\0",
    str(ImplicitVRLittleEndian): b"\xe0\x7f\x10\0",
}
_PLAIN = (
    *("BitsAllocated", "SamplesPerPixel", "NumberOfFrames"),
    *("PhotometricInterpretation", "PixelRepresentation"),
)
_PLAIN_VALUES = set(product([16], [1], [None, 1], ["MONOCHROME1", "MONOCHROME2"], [0, 1]))
_PIXEL_TAGS = {
    int(Tag(keyword)): keyword
    for keyword in (
        *_PLAIN,
        *("SOPInstanceUID", "RescaleSlope", "RescaleIntercept"),
        *("Rows", "Columns", "BitsStored", "HighBit"),
    )
}
_JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)
LOWEST_HU = -1024.0  # below air nothing is tissue: scanners write padding as -2000 or -3024
COLUMNS: tuple[str, ...] = (
    "patient_id",
    "study_instance_uid",
    "series_instance_uid",
    "n_files",
    "n_listed",
    "n_slices",
    "phase",
    "slice_spacing_mm",
    "pixel_spacing_mm",
    "kernel",
    "kvp",
    "transfer_syntax",
    "status",
    "rules",
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    One patient's series; its slices are sorted along their normal, one for each image.

    Parameters
    ----------
    patient_id : str
        Whose.
    series_instance_uid : str
        Which.
    slices : tuple of Header
        What the files say.
    lost : str, default ""
        What is known to be missing of it, in words.
    """

    patient_id: str
    series_instance_uid: str
    slices: tuple[Header, ...]
    lost: str = ""

    def slice(self, sop_instance_uid: str) -> Header:
        """
        The header of one slice.

        Parameters
        ----------
        sop_instance_uid : str
            Which one.

        Returns
        -------
        Header
            What its file says.

        Raises
        ------
        ImagingError
            If the series holds no such slice.
        """
        self.require([sop_instance_uid])
        return self.slices[self._places[sop_instance_uid]]

    def require(self, sop_instance_uids: Iterable[str]) -> None:
        """
        Nothing, where the series holds all of these slices.

        Parameters
        ----------
        sop_instance_uids : iterable of str
            The slices to which an ROI refers.

        Raises
        ------
        ImagingError
            If some are not there: how many, and what to do.
        """
        wanted = dict.fromkeys(sop_instance_uids)
        gone = [uid for uid in wanted if uid not in self._places]
        if gone:
            raise ImagingError(
                "unresolved_reference",
                f"{self.patient_id}: the series {self.series_instance_uid} holds no slice "
                f"{gone[0]}, to which the ROI refers ({len(gone)} of its {len(wanted)} slices are "
                f"missing). {self.lost or _NOT_KNOWN_TO_BE_LOST}",
            )

    def place(self, sop_instance_uid: str) -> int:
        """
        The rank of one slice along the normal.

        Parameters
        ----------
        sop_instance_uid : str
            Which one.

        Returns
        -------
        int
            Beginning with 0.
        """
        self.slice(sop_instance_uid)
        return self._places[sop_instance_uid]

    def hu(self, sop_instance_uid: str) -> Hounsfield:
        """
        The pixels of one slice.

        Parameters
        ----------
        sop_instance_uid : str
            Which one.

        Returns
        -------
        numpy.ndarray of float32, shape (rows, columns)
            Hounsfield units, not below -1024, which is also what padding becomes, unless it has a
            value that tissue can have. Whether the file is meant to be shown inverted
            (MONOCHROME1) does not change them.

        Raises
        ------
        ImagingError
            If the series holds no such slice, or its pixels cannot be decoded.
        """
        return _hounsfield(self.slice(sop_instance_uid))

    @property
    def slice_spacing_mm(self) -> float:
        """The median distance between neighbouring slices; NaN of a single one."""
        gaps = np.diff(rules.positions(self.slices))
        return float(np.median(gaps)) if len(gaps) else np.nan

    @cached_property
    def _places(self) -> dict[str, int]:
        return {header.sop_instance_uid: place for place, header in enumerate(self.slices)}


_NOT_KNOWN_TO_BE_LOST = (
    "Give the series on which the ROI was drawn, with all its files (the download may be "
    "incomplete) and with its UIDs unchanged."
)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """
    All series of one patient's folders, and the files that belong to none.

    Parameters
    ----------
    patient_id : str
        Whose.
    paths : tuple of pathlib.Path
        The folders.
    series : dict of tuple of Header
        By SeriesInstanceUID, what the files say.
    listed : mapping of str to int
        How many images the download's list gives each series; it may name others too.
    unreadable : tuple of str
        Why files cannot be read, one text a file.
    packed : tuple of str
        How archives are unpacked, one text a file.
    not_dicom : int
        How many files are something else.
    """

    patient_id: str
    paths: tuple[Path, ...]
    series: dict[str, tuple[Header, ...]]
    listed: Mapping[str, int]
    unreadable: tuple[str, ...]
    packed: tuple[str, ...]
    not_dicom: int

    @cached_property
    def inventory(self) -> pd.DataFrame:
        """One row a series, with the columns of inventory.csv."""
        rows = [
            _row(self.patient_id, files, self._broken(uid), self.listed.get(uid, 0))
            for uid, files in self.series.items()
        ]
        left = {"unreadable_file": self.unreadable, "packed_archive": self.packed}
        rows += [_left_row(self.patient_id, len(said), rule) for rule, said in left.items() if said]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @property
    def usable(self) -> list[str]:
        """The SeriesInstanceUIDs of the series that no rule refuses."""
        rows = self.inventory[self.inventory["status"] != "refuse"]
        return [str(uid) for uid in rows["series_instance_uid"]]

    @property
    def where(self) -> str:
        """The folders, in words."""
        return " and ".join(map(str, self.paths))

    def open(self, series_instance_uid: str) -> Series:
        """
        One series of the folders.

        Parameters
        ----------
        series_instance_uid : str
            Which one.

        Returns
        -------
        Series
            Sorted and ready to be read.

        Raises
        ------
        ImagingError
            If the folders do not hold it, or a rule refuses it.
        """
        if series_instance_uid not in self.series:
            near = checks.nearest(series_instance_uid, self.series)
            raise ImagingError(
                "series_not_found",
                f"{self.patient_id}: {self.where} holds no series {series_instance_uid}{near}.",
                self.paths[0],
            )
        files = self.series[series_instance_uid]
        broken = self._broken(series_instance_uid)
        refused = [rule for rule in broken if rules.RULES[rule].status == "refuse"]
        lost = self._lost(series_instance_uid)
        if refused:
            said = "; ".join(rules.RULES[rule].meaning for rule in refused)
            remedy = lost or "Export it once more, or name another series in the manifest."
            raise ImagingError(
                refused[0],
                f"{self.patient_id}: the series {series_instance_uid} cannot be used: {said}. "
                f"{remedy}",
                files[0].path,
            )
        ordered = sorted(rules.distinct(files), key=lambda header: rules.along_normal([header])[0])
        return Series(
            patient_id=self.patient_id,
            series_instance_uid=series_instance_uid,
            slices=tuple(ordered),
            lost=lost,
        )

    def _broken(self, uid: str) -> list[str]:
        """The rules that a series breaks."""
        found = rules.broken(self.patient_id, self.series[uid], self.listed.get(uid, 0))
        if self._several_patients and not rules.is_no_ct(found):
            return ["several_patients", *found]
        return found

    @cached_property
    def _several_patients(self) -> bool:
        """Whether CT of several others lies here: of one, it may be the name in the archive."""
        slices = (header for files in self.series.values() for header in files)
        others = {h.patient_id for h in slices if h.modality == "CT"} - {"", self.patient_id}
        return len(others) > 1

    def _lost(self, uid: str) -> str:
        """What is known to be missing of a series, in words."""
        there, listed = len(rules.distinct(self.series[uid])), self.listed.get(uid, 0)
        said = []
        if there < listed:
            said.append(
                f"{LISTING} lists {listed} images of the series, {there} are there: download the "
                "series again."
            )
        if self.unreadable:
            said.append(f"{len(self.unreadable)} file(s) cannot be read: {self.unreadable[0]}")
        said.extend(self.packed)
        return " ".join(said)


def folder(*paths: Path | str, patient_id: str | None = None) -> Folder:
    """
    What a patient's folders hold, from headers only.

    Parameters
    ----------
    *paths : pathlib.Path or str
        The folder, or several that hold parts; their subfolders belong to it.
    patient_id : str, optional
        Whose they are; by default the folder's name. Never taken from the headers.

    Returns
    -------
    Folder
        Its series.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    found = tuple(Path(path) for path in paths)
    for path in found:
        archive = path.with_name(f"{path.name}.zip")
        if not path.is_dir() and archive.is_file():
            raise headers.packed(archive)
        if not path.is_dir():
            raise ImagingError("no_folder", f"{path} is not a folder; put the patient's CT there.")
    files = (file for path in found for file in folders.files(path))
    name = folders.printable(found[0].resolve().name)
    return _scan(patient_id or name, found, files)


def inventory(
    root: Path | str,
    *,
    kept: Path | str | None = None,
    workers: int = 2,
    progress: parallel.Progress | None = None,
) -> pd.DataFrame:
    """
    One row for each series below a folder of patients' folders.

    Parameters
    ----------
    root : pathlib.Path or str
        Patients' folders, each named like the patient, or downloads of The Cancer Imaging Archive
        (`folders.patient_folders`). Files that lie in it directly are taken for a patient named
        like the root.
    kept : pathlib.Path or str, optional
        A file that keeps what is read (`journal`): the next walk reads only what changed.
    workers : int, default 2
        Processes that read headers.
    progress : callable, optional
        Called with (done, total) after each patient.

    Returns
    -------
    pandas.DataFrame
        The columns of inventory.csv; ``rules`` are joined by a blank; ``phase`` is empty, since
        headers do not tell it; ``n_listed`` is 0 where no list of a download names the series.
        Unreadable files and archives left packed stand in rows without series. Its
        ``attrs["not_dicom"]`` counts the files that are not DICOM and were skipped;
        ``attrs["left_out"]`` says why the unreadable and the packed were, one text a file.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise checks.InputError(f"{root} is not a folder; give the one that holds the patients'.")
    journal_file = None if kept is None else Path(kept)
    walks = parallel.in_order(
        _listed_files, _tasks(root, journal_file), workers=workers, progress=progress
    )
    found = []
    with journal.renewed(journal_file) as keep:
        for one in walks:
            keep(one.name, one.read)
            found.append(one._replace(read=b""))
    table = joined([one.table for one in found], COLUMNS)
    table.attrs["not_dicom"] = sum(one.not_dicom for one in found)
    table.attrs["left_out"] = [said for one in found for said in one.left_out]
    return table


def joined(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """
    Tables one below the other.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        Any number, empty ones too.
    columns : sequence of str
        The result's columns, present even where no table has a row.

    Returns
    -------
    pandas.DataFrame
        All rows, numbered anew.
    """
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True)[list(columns)]


class _Task(NamedTuple):
    """One patient's folders, or with the name "" the files that lie in the root directly."""

    name: str
    patient_id: str
    paths: tuple[Path, ...]
    root: Path
    kept: Path | None


class _Listed(NamedTuple):
    """One patient's rows of the inventory, the files that stand in none, and all that was read."""

    name: str
    table: pd.DataFrame
    not_dicom: int
    left_out: tuple[str, ...]
    read: bytes


def _listed_files(task: _Task) -> _Listed:
    """What the inventory says of one patient."""
    below = folders.files if task.name else _loose
    files = (file for path in task.paths for file in below(path))
    known = journal.Known(task.root, task.kept, task.name)
    found = _scan(task.patient_id, task.paths, files, known.read)
    left_out = found.packed + found.unreadable
    return _Listed(task.name, found.inventory, found.not_dicom, left_out, known.packed())


def _tasks(root: Path, kept: Path | None) -> list[_Task]:
    """Each patient's folders, and the root itself where files lie in it directly."""
    found = folders.patient_folders(root)
    tasks = [_Task(name, name, paths, root, kept) for name, paths in found.items()]
    if _loose(root):
        tasks.append(_Task("", folders.printable(root.resolve().name), (root,), root, kept))
    return tasks


def _loose(root: Path) -> list[Path]:
    """Files that lie directly in a folder."""
    return sorted(p for p in root.iterdir() if p.is_file() and not p.name.startswith("."))


def _scan(
    patient_id: str,
    paths: tuple[Path, ...],
    files: Iterable[Path],
    read: Callable[[Path], tuple[Header, ...]] = headers.read,
) -> Folder:
    """Files sorted into series."""
    series: dict[str, list[Header]] = {}
    unreadable: list[str] = []
    packed: list[str] = []
    not_dicom = 0
    for file in files:
        try:
            found = read(file)
        except ImagingError as error:
            (packed if error.rule == "packed_archive" else unreadable).append(str(error))
            continue
        not_dicom += not found
        for header in found:
            series.setdefault(header.series_instance_uid, []).append(header)
    return Folder(
        patient_id=patient_id,
        paths=paths,
        listed=_listed(paths),
        series={uid: tuple(slices) for uid, slices in sorted(series.items())},
        unreadable=tuple(unreadable),
        packed=tuple(packed),
        not_dicom=not_dicom,
    )


def _listed(paths: Iterable[Path]) -> dict[str, int]:
    """How many images the lists of the patient's downloads give each series."""
    counts: dict[str, int] = {}
    for path in paths:
        for uid, n_images in folders.listed_images(path).items():
            counts[uid] = max(n_images, counts.get(uid, 0))
    return counts


def _row(
    patient_id: str, files: Sequence[Header], broken: Sequence[str], n_listed: int
) -> dict[str, Any]:
    """A series' row of the inventory."""
    positions = rules.positions(files)
    first = files[0]
    return {
        "patient_id": patient_id,
        "study_instance_uid": first.study_instance_uid,
        "series_instance_uid": first.series_instance_uid,
        "n_files": len({header.path for header in files}),
        "n_listed": n_listed,
        "n_slices": len(positions) or len({header.sop_instance_uid for header in files}),
        "phase": "",
        "slice_spacing_mm": round(float(np.median(np.diff(positions))), 4)
        if len(positions) > 1
        else np.nan,
        "pixel_spacing_mm": first.pixel_spacing_mm[0] if first.pixel_spacing_mm else np.nan,
        "kernel": first.kernel,
        "kvp": np.nan if first.kvp is None else first.kvp,
        "transfer_syntax": "; ".join(
            sorted({UID(header.transfer_syntax_uid).name for header in files})
        ),
        "status": rules.status(broken),
        "rules": " ".join(broken),
    }


def _left_row(patient_id: str, count: int, rule: str) -> dict[str, Any]:
    """The row of the files that belong to no series because of this rule."""
    return {
        "patient_id": patient_id,
        "study_instance_uid": "",
        "series_instance_uid": "",
        "n_files": count,
        "n_listed": 0,
        "n_slices": 0,
        "phase": "",
        "slice_spacing_mm": np.nan,
        "pixel_spacing_mm": np.nan,
        "kernel": "",
        "kvp": np.nan,
        "transfer_syntax": "",
        "status": "refuse",
        "rules": rule,
    }


def _hounsfield(header: Header) -> Hounsfield:
    """Stored values of one slice times its own slope plus its own intercept."""
    try:
        with warnings.catch_warnings(), disable_value_validation():
            # pydicom only warns where pixel data have a wrong length
            warnings.simplefilter("error")
            dataset, stored = _read(header)
    except Exception as error:  # a damaged file fails in any of a decoder's ways
        raise ImagingError(
            "unreadable_pixels",
            f"{header.path} cannot be decoded ({type(error).__name__}: {error}). "
            "Export it from the archive once more, uncompressed where you can.",
            header.path,
        ) from error
    if not _is_same(dataset, header) or stored.shape != (header.rows, header.columns):
        raise ImagingError(
            "changed_file",
            f"{header.path} has changed since its header was read. Run the inventory again.",
            header.path,
        )
    # float32 before anything else: unsigned stored values would wrap below zero
    hu: Hounsfield = stored.astype(np.float32)
    hu = hu * np.float32(header.slope) + np.float32(header.intercept)
    if header.padding_hu is not None and not rules.is_among_tissue(header.padding_hu):
        low, high = header.padding_hu
        hu[(hu >= low) & (hu <= high)] = LOWEST_HU
    return np.maximum(hu, np.float32(LOWEST_HU))


def _read(header: Header) -> tuple[Any, npt.NDArray[Any]]:
    """What a file says, and the stored values of one of its frames; no other is decoded."""
    if header.frames == 1:
        data = header.path.read_bytes()
        integrity.require_dicom(data)
        plain = _plain(data)
        if plain is not None:
            return plain[0], _significant(*plain)
        dataset = pydicom.dcmread(BytesIO(data), force=True)
        _require_whole(dataset, lambda: get_frame(dataset.PixelData, 0, number_of_frames=1))
        dataset.pixel_array_options(decoding_plugin=_plugin(dataset))
        return dataset, _significant(dataset, dataset.pixel_array)
    index = header.frame_number - 1
    with header.path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        file.seek(_ELEMENT_START, os.SEEK_CUR)
        _require_whole(dataset, lambda: get_frame(file, index, number_of_frames=header.frames))
    stored = pixel_array(header.path, index=index, decoding_plugin=_plugin(dataset))
    return dataset, _significant(dataset, stored)


def _plain(data: bytes) -> tuple[dict[str, Any], npt.NDArray[Any]] | None:
    """The same of a file with one plain frame of 16 bits; None where pydicom is to judge."""
    try:
        said, syntax, n_left = elements.within(data, len(data), _PIXEL_TAGS)
        rows, columns = int(said["Rows"]), int(said["Columns"])
        known = tuple(said.get(keyword) for keyword in _PLAIN) in _PLAIN_VALUES
    except Exception:
        return None
    if not (known and syntax in _PIXELS_BEGIN and rows * columns):
        return None
    n_bytes = 2 * rows * columns
    begin = _PIXELS_BEGIN[syntax] + n_bytes.to_bytes(4, "little")
    if n_left != len(begin) + n_bytes or not data.startswith(begin, -n_left):
        return None
    kind = "<i2" if said["PixelRepresentation"] else "<u2"
    return said, np.frombuffer(data, kind, offset=len(data) - n_bytes).reshape(rows, columns)


def _require_whole(dataset: Any, frame: Callable[[], bytes]) -> None:
    """Refuse a JPEG-LS frame without its end marker: CharLS would search for seconds."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _JPEG_LS and not frame().rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError("its JPEG-LS stream ends early")


def _is_same(dataset: Any, header: Header) -> bool:
    """Whether a file still holds the slice that its header told of."""
    uid, _, frame = header.sop_instance_uid.partition("#")
    slope, intercept = (
        headers.number(dataset, f"Rescale{name}") for name in ("Slope", "Intercept")
    )
    same_units = bool(frame) or (slope, intercept) == (header.slope, header.intercept)
    return dataset.get("SOPInstanceUID") == uid and same_units


def _significant(dataset: Any, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Stored values without what the bits above BitsStored may hold (old overlays)."""
    high, bits = (int(dataset.get(keyword)) for keyword in ("HighBit", "BitsStored"))
    if high != bits - 1:
        raise ValueError(f"HighBit {high} with BitsStored {bits}")
    spare = stored.dtype.itemsize * 8 - bits
    kept: npt.NDArray[Any] = np.right_shift(np.left_shift(stored, spare), spare)  # with its sign
    return kept


def _plugin(dataset: Any) -> str:
    """What decodes its pixels: gdcm only where nothing else can; "" where they are plain."""
    able = get_decoder(dataset.file_meta.TransferSyntaxUID).available_plugins
    return min(able, key=lambda name: (name == "gdcm", name), default="")
