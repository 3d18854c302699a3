"""Where the lesion is: one box for each slice that it touches, from any form of outline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import label_maps, marks, reports, segmentations, structure_sets
from hcc_utils.imaging.headers import ImagingError
from hcc_utils.imaging.marks import Choice, Mark, Mask, Named, Reference
from hcc_utils.imaging.series import Folder, Series, folder
from hcc_utils.study.folders import patient_folders

SOURCES: tuple[str, ...] = ("seg", "rtstruct", "nifti", "sr", "boxes")
EDGES: tuple[str, ...] = ("row_min", "row_max", "column_min", "column_max")
_OBJECTS = {"seg": segmentations, "rtstruct": structure_sets, "sr": reports}
_MODALITIES = {"seg": "SEG", "rtstruct": "RTSTRUCT", "sr": "SR"}
COLUMNS: tuple[str, ...] = ("sop_instance_uid", "lesion", *EDGES, "roi_source", "longest_mm")


def from_seg(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes of the lesions that a DICOM SEG outlines.

    Parameters
    ----------
    path : pathlib.Path or str
        A segmentation (BINARY, LABELMAP, or FRACTIONAL, marked from half of its maximum on) whose
        frames lie on the slices of `series`. Segments labelled lesion, mass, tumour or HCC,
        numbered or not, are lesions; others are left out.
    series : Series
        The series that was segmented.

    Returns
    -------
    pandas.DataFrame
        One row a slice and lesion, by lesion and along the normal: ``sop_instance_uid``,
        ``lesion`` (1, 2, ... in the order of segments), ``row_min``, ``row_max``,
        ``column_min``, ``column_max`` (inclusive, from 0), ``roi_source``, ``longest_mm`` (the
        longest diameter of what is marked, to the pixels' outer edges; NaN where only a box is
        known). Frames without a marked pixel have none.

    Raises
    ------
    InputError
        If it is no segmentation, no segment is a lesion, nothing is marked, its frame of
        reference is another, or a frame does not lie on exactly one slice of the series.
    """
    return _boxes(Path(path), segmentations.marked(Path(path), series), series)


def from_rtstruct(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes of the lesions that an RT structure set outlines.

    Parameters
    ----------
    path : pathlib.Path or str
        A structure set with closed planar contours. ROIs named lesion, mass, tumour or HCC,
        numbered or not, are lesions; others are left out.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    pandas.DataFrame
        The columns of `from_seg`; lesions in the order of ROI numbers. A pixel is marked where
        its centre lies within an odd number of the lesion's contours, or on one
        (`contours.filled`); contours that hold no pixel's centre have no row. A contour that
        names no image belongs to the one slice at its position, within 0.1 mm; its box is said
        to be from "rtstruct_by_position".

    Raises
    ------
    InputError
        If it is no structure set, no ROI is a lesion, nothing is marked, a contour is not closed
        or does not lie on exactly one slice of the series, or the frame of reference is another.
    """
    return _boxes(Path(path), structure_sets.marked(Path(path), series), series)


def from_nifti(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes of the lesions that a label map marks.

    Parameters
    ----------
    path : pathlib.Path or str
        A NIfTI, NRRD or MetaImage file (`label_maps.FORMS`) of the whole image or a part of it.
        Labels that 3D Slicer (in the file) or ITK-SNAP (in label descriptions beside it) names
        lesion, mass, tumour or HCC are lesions. Where nothing names them every label above 0 is
        one: such a map that also marks the liver must be reduced to its lesions.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    pandas.DataFrame
        The columns of `from_seg`; lesions in the order of labels. Nothing is resampled: each
        slice takes the labels of the plane in which it lies, whatever the order and the sense of
        the file's axes (RAS or LPS).

    Raises
    ------
    InputError
        If it is no label map, nothing is marked, it has names but no lesion, its grid is not the
        slices' (spacing within 0.001 mm, direction within 0.001, pixels within 0.1 mm of
        theirs, none beyond their edge; what differs is named), or it marks a plane where the
        series has no slice.
    """
    return _boxes(Path(path), label_maps.marked(Path(path), series), series)


def from_sr(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes of the lesions that a structured report measures.

    Parameters
    ----------
    path : pathlib.Path or str
        A measurement report (TID 1500) with rectangles or polygons on slices. Tracking
        identifiers named lesion, mass, tumour or HCC, numbered or not, are lesions; others are
        left out.
    series : Series
        The series that was measured.

    Returns
    -------
    pandas.DataFrame
        The columns of `from_seg`; lesions in the order of the report. A pixel is marked as in
        `from_rtstruct`.

    Raises
    ------
    InputError
        If it is no report, no tracking identifier is a lesion's, nothing is marked, or a region
        is no closed line on exactly one slice of the series.
    """
    return _boxes(Path(path), reports.marked(Path(path), series), series)


def from_boxes(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes that a table gives for one patient.

    Parameters
    ----------
    path : pathlib.Path or str
        A CSV file with the columns ``patient_id``, ``sop_instance_uid``, ``row_min``,
        ``row_max``, ``column_min``, ``column_max`` (inclusive, from 0) and, where there are
        several, ``lesion``; of an enhanced CT also ``frame_number`` (from 1).
    series : Series
        The patient's series on which they were drawn.

    Returns
    -------
    pandas.DataFrame
        One row a slice and lesion, the columns of `from_seg`.

    Raises
    ------
    InputError
        If columns are missing, the patient has no row, a box is not one, or a row does not lead
        to one slice of the series.
    """
    path = Path(path)
    patient_id, boxes = series.patient_id, _rows(path, series.patient_id)
    edges = boxes[list(EDGES)].apply(pd.to_numeric, errors="coerce")
    wrong = edges.isna().any(axis=1) | (edges % 1 != 0).any(axis=1) | (edges < 0).any(axis=1)
    wrong |= (edges["row_min"] > edges["row_max"]) | (edges["column_min"] > edges["column_max"])
    if wrong.any():
        first = boxes[wrong].iloc[0]
        raise ImagingError(
            "impossible_box",
            f"{path}: {patient_id} has {wrong.sum()} box(es) that are none, first on slice "
            f"{first['sop_instance_uid']}: {first[list(EDGES)].to_dict()}. Edges are whole "
            "numbers from 0, the minimum not above the maximum.",
            path,
        )
    boxes["sop_instance_uid"] = marks.slices(
        path, [[one] for one in _references(path, boxes)], series
    )
    boxes[list(EDGES)] = edges
    boxes["lesion"] = boxes.get("lesion", 1)
    boxes["longest_mm"], boxes["roi_source"] = np.nan, "boxes"
    whole = dict.fromkeys((*EDGES, "lesion"), np.int64)
    return boxes[list(COLUMNS)].astype(whole).reset_index(drop=True)


def marked(path: Path | str, source: str, series: Series, chosen: Choice) -> Iterator[Mark]:
    """
    What an ROI marks on each slice.

    Parameters
    ----------
    path : pathlib.Path or str
        The patient's ROI, or the table of boxes.
    source : {"seg", "rtstruct", "nifti", "sr", "boxes"}
        Its form.
    series : Series
        The series on which it was drawn.
    chosen : Choice
        What is wanted of it.

    Yields
    ------
    Mark
        As `segmentations.marked` and its kin give it; none of a table of boxes, which names no
        pixels.

    Raises
    ------
    InputError
        If it does not fit the series.
    """
    read = {"nifti": label_maps, **_OBJECTS}.get(source)
    if read:
        with _readable(Path(path)):
            yield from read.marked(Path(path), series, chosen)


def file_of(path: Path | str, patient_id: str, source: str, images: Folder | None = None) -> Path:
    """
    Where a patient's ROI is.

    Parameters
    ----------
    path : pathlib.Path or str
        The centre's folder of ROIs, or its table of boxes; for DICOM objects also a root of
        patients' folders (`folders.patient_folders`), in which they lie beside the CT.
    patient_id : str
        Whose.
    source : {"seg", "rtstruct", "nifti", "sr", "boxes"}
        Its form.
    images : Folder, optional
        The patient's images, where they were read before: if they lie in the same root, nothing
        is read again.

    Returns
    -------
    pathlib.Path
        ``<patient_id>.dcm``, the one such object in the patient's folders, the label map
        ``<patient_id>`` in whichever form is there, or the table itself.

    Raises
    ------
    InputError
        If there are several.
    """
    path = Path(path)
    if source == "boxes":
        return path
    forms = label_maps.FORMS if source == "nifti" else (".dcm",)
    named = [path / f"{patient_id}{form}" for form in forms]
    there = [file for file in named if file.is_file()]
    if not there and source in _MODALITIES:
        there = _beside_the_ct(path, patient_id, _MODALITIES[source], images)
    if len(there) > 1:
        raise ImagingError(
            "several_rois",
            f"{path} holds {' and '.join(str(file.relative_to(path)) for file in there)}. Keep "
            "the one that counts.",
            path,
        )
    return (there or named)[0]


def _beside_the_ct(root: Path, patient_id: str, modality: str, images: Folder | None) -> list[Path]:
    """The DICOM objects of a kind in a patient's own folders."""
    if images is None or not all(own.is_relative_to(root) for own in images.paths):
        found = patient_folders(root).get(patient_id, ()) if root.is_dir() else ()
        images = folder(*found) if found else None
    files = [header for own in images.series.values() for header in own] if images else []
    return [header.path for header in files if header.modality == modality]


def drawn_on(series: Series, path: Path | str, source: str) -> bool:
    """
    Whether an ROI can have been drawn on a series.

    Parameters
    ----------
    series : Series
        One of the patient's series.
    path : pathlib.Path or str
        The patient's ROI, or the table of boxes.
    source : {"seg", "rtstruct", "nifti", "sr", "boxes"}
        Its form.

    Returns
    -------
    bool
        True where the series holds any slice to which the ROI refers (whether it holds all of
        them is asked where the boxes are read) or, where the ROI refers to none, where it names
        the series or no series at all. Of a label map, which refers to nothing, whether the
        series has its grid: several phases of one CT may.
    """
    path = Path(path)
    with _readable(path):
        if source == "nifti":
            return label_maps.fits(path, series)
        if source == "boxes":
            rows = _rows(path, series.patient_id)
            images, whole = frozenset(_references(path, rows)), frozenset[str]()
        else:
            changed = path.stat().st_mtime_ns if path.is_file() else 0
            images, whole = _named(source, str(path), changed)
    if not images:
        return not whole or series.series_instance_uid in whole
    there = {header.sop_instance_uid for header in series.slices}
    return not there.isdisjoint(marks.named(images, series))


def _boxes(path: Path, marked: Iterable[Mark], series: Series) -> pd.DataFrame:
    """The box of each mark that marks anything, by lesion and along the normal."""
    with _readable(path):
        rows = [
            (uid, lesion, *_extent(mask), source, _longest_mm(mask, series, uid))
            for lesion, uid, mask, source in marked
            if mask.any()
        ]
    if not rows:
        raise ImagingError(
            "nothing_marked", f"{path} marks no pixel as lesion. Draw it and export again.", path
        )
    rows.sort(key=lambda row: (row[1], series.place(row[0])))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Every failure to read an ROI as a named one."""
    try:
        yield
    except checks.InputError:
        raise
    except Exception as error:  # a damaged file fails in any of its reader's ways
        why = " ".join(str(error).split())
        raise ImagingError(
            "unreadable_roi",
            f"{path} is damaged ({type(error).__name__}: {why}). Export it again.",
            path,
        ) from error


def _rows(path: Path, patient_id: str) -> pd.DataFrame:
    """One patient's rows of the table of boxes."""
    if not path.is_file():
        raise ImagingError("no_roi", f"{path} is not there; the manifest names it as ROI.", path)
    with _readable(path):
        table = _table(str(path), path.stat().st_mtime_ns)
    own = table[table["patient_id"] == patient_id].copy()
    if own.empty:
        raise ImagingError(
            "no_roi", f"{path} has no row for {patient_id}. Add a box for each slice.", path
        )
    return own


def _references(path: Path, boxes: pd.DataFrame) -> list[Reference]:
    """The image, and of an enhanced CT the frame, that each row names."""
    frames = boxes.get("frame_number", pd.Series("", boxes.index)).fillna("").str.strip()
    wrong = boxes[~frames.str.fullmatch(r"([1-9]\d*(\.0)?)?")]
    if len(wrong):
        raise ImagingError(
            "impossible_box",
            f"{path}: frame_number must be a whole number from 1, or empty; that of a box of "
            f"{wrong['patient_id'].iloc[0]} is {wrong['frame_number'].iloc[0]!r}.",
            path,
        )
    numbers = [(int(float(frame)),) if frame else () for frame in frames]
    return list(map(Reference, boxes["sop_instance_uid"], numbers))


@lru_cache(maxsize=1)
def _named(source: str, path: str, _changed: int) -> Named:
    """What an object refers to, read once for all series of a patient."""
    named: Named = _OBJECTS[source].references(Path(path))
    return named


@lru_cache(maxsize=1)
def _table(path: str, _changed: int) -> pd.DataFrame:
    """A centre's table of boxes, read once for all its patients."""
    text = Path(path).read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise ValueError("it holds a byte 0, behind which pandas would not read on")
    table = pd.read_csv(StringIO(text), dtype=str)
    return checks.columns(table, ["patient_id", "sop_instance_uid", *EDGES], name=path)


def _longest_mm(mask: Mask, series: Series, uid: str) -> float:
    """The longest diameter of what is marked on a slice."""
    return marks.longest_mm(mask, series.slice(uid).pixel_spacing_mm)


def _extent(mask: Mask) -> tuple[int, int, int, int]:
    """First and last marked row, first and last marked column."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
