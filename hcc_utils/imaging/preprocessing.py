"""Patients, from their folders to their target lesions' slices; nobody stops the others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import (
    landmarks,
    motion,
    organs,
    parallel,
    roi,
    rules,
    scans,
    series_choice,
    slices,
    target,
)
from hcc_utils.imaging import series as ct
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.slices import Pixels
from hcc_utils.study import folders
from hcc_utils.study.manifest import SeriesRule

PROBLEMS: tuple[str, ...] = ("patient_id", "rule", "message", "file")
_FEW_PATIENTS = 10


@dataclass(frozen=True)
class CohortSlices:
    """
    The slices of many patients' target lesions, and all that was seen on the way to them.

    Parameters
    ----------
    table : pandas.DataFrame
        The columns of slices.csv, of the target lesions alone.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
        One picture for each row of `table`; kept in a temporary file, so that memory does not grow
        with the cohort.
    inventory : pandas.DataFrame
        Every series of these patients.
    lesions : pandas.DataFrame
        One row a patient and lesion, as `target.lesion_lengths` gives it.
    scans : pandas.DataFrame
        One row a patient with slices, as `scans.scan` gives it.
    hounsfield : pandas.DataFrame
        Of the organs that an ROI outlines beside the lesion, as `organs.measured` gives it.
    problems : pandas.DataFrame
        One row a patient without slices: ``patient_id``, ``rule``, ``message``, ``file``.
    """

    table: pd.DataFrame
    pixels_hu: Pixels
    inventory: pd.DataFrame
    lesions: pd.DataFrame
    scans: pd.DataFrame
    hounsfield: pd.DataFrame
    problems: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that another process needs to prepare one patient."""

    patient_id: str
    folders: tuple[Path, ...]
    roi_source: str
    roi_path: Path
    named_series: str | None
    series_rule: SeriesRule | None
    size: int
    margin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """One patient's result: the target lesion's slices, or the problem that prevented them."""

    inventory: pd.DataFrame | None = None
    slices: slices.LesionSlices | None = None
    lesions: pd.DataFrame | None = None
    scan: dict[str, Any] | None = None
    hounsfield: pd.DataFrame | None = None
    problem: tuple[str, str, str, str] | None = None


def tasks(
    patient_ids: Sequence[str],
    dicom_root: Path | str,
    roi_source: str,
    roi_path: Path | str,
    *,
    chosen_series: Mapping[str, str] | None = None,
    series_rule: SeriesRule | None = None,
    size: int = 128,
    **margin: Any,
) -> list[Task]:
    """
    A hospital's patients as work for `prepared`.

    Parameters
    ----------
    patient_ids : sequence of str
        Who; the result keeps their order.
    dicom_root : pathlib.Path or str
        A folder with a folder for each patient, named like the patient, or with downloads of The
        Cancer Imaging Archive (`folders.patient_folders`).
    roi_source : str
        "seg", "rtstruct" or "sr": `roi_path` is a folder with ``<patient_id>.dcm``, or of patients'
        folders in which one such object lies; "nifti": one with ``<patient_id>.nii.gz`` (.nii,
        .nrrd, .mha); "boxes": it is a table.
    roi_path : pathlib.Path or str
        Where the ROIs are.
    chosen_series : mapping of str to str, optional
        SeriesInstanceUID by patient, where somebody chose one.
    series_rule : SeriesRule, optional
        How the series of the others is told (`series_choice.chosen`).
    size : int, default 128
        Rows and columns of a slice.
    **margin
        As `slices.lesion_slices` takes it.

    Returns
    -------
    list of Task
        One a patient.

    Raises
    ------
    InputError
        If the root is no folder, or `roi_source` is not known.
    """
    checks.one_of("roi_source", roi_source, roi.SOURCES)
    if not Path(dicom_root).is_dir():
        raise checks.InputError(f"dicom_root {dicom_root} is not a folder; correct the manifest.")
    found = folders.patient_folders(dicom_root)
    return [
        Task(
            patient_id=patient_id,
            folders=found.get(patient_id, (Path(dicom_root) / patient_id,)),
            roi_source=roi_source,
            roi_path=Path(roi_path),
            named_series=(chosen_series or {}).get(patient_id),
            series_rule=series_rule,
            size=size,
            margin=margin,
        )
        for patient_id in patient_ids
    ]


def prepared(
    work: Sequence[Task],
    size: int,
    *,
    workers: int | None = None,
    progress: parallel.Progress | None = None,
) -> CohortSlices:
    """
    The slices of all these patients, and what kept the others from having any.

    Parameters
    ----------
    work : sequence of Task
        Of one hospital or of several at once: a process needs seconds to start.
    size : int
        Rows and columns of a slice, as all of them have it.
    workers : int, optional
        Processes; by default two, and one for few patients.
    progress : callable, optional
        Called with (done, total) after each patient.

    Returns
    -------
    CohortSlices
        Every patient, with slices or with a problem.
    """
    with tempfile.TemporaryFile() as spool:
        workers = workers or _processes(work)
        done = parallel.in_order(_prepared, work, workers=workers, progress=progress)
        kept = [_without_pixels(one, spool) for one in done]
        return _together(kept, slices.mapped(spool, size))


class _Again(NamedTuple):
    """All that another process needs to cut one patient's slices again."""

    task: Task
    table: pd.DataFrame
    cuts: Sequence[slices.Cut]


def recut(
    work: Sequence[Task],
    table: pd.DataFrame,
    cuts: Sequence[slices.Cut],
    *,
    workers: int | None = None,
) -> Iterator[tuple[str, Pixels | None]]:
    """
    Slices of these patients cut again in several ways, one patient after the other.

    Parameters
    ----------
    work : sequence of Task
        Who; those without a slice in `table` are passed over.
    table : pandas.DataFrame
        Rows of slices.csv.
    cuts : sequence of slices.Cut
        How.
    workers : int, optional
        Processes; by default as `prepared` has it.

    Yields
    ------
    tuple of str and numpy.ndarray
        The patient, and what `slices.recut` gives, in the order of `table`; None where the files
        cannot be read any more.
    """
    own = dict(iter(table.groupby("patient_id", sort=False)))
    again = [_Again(task, own[task.patient_id], cuts) for task in work if task.patient_id in own]
    found = parallel.in_order(_recut, again, workers=workers or _processes(again))
    yield from zip((one.task.patient_id for one in again), found, strict=True)


def _recut(again: _Again) -> Pixels | None:
    """One patient's slices cut again."""
    task, table = again.task, again.table
    try:
        folder = ct.folder(*task.folders, patient_id=task.patient_id)
        series = folder.open(table["series_instance_uid"].iloc[0])
        return slices.recut(series, table, again.cuts, size=task.size, **task.margin)
    except (checks.InputError, OSError):
        return None


def _processes(work: Sequence[object]) -> int:
    """Two processes, and one for few patients: a process needs seconds to start."""
    return 1 if len(work) < _FEW_PATIENTS else 2


def _without_pixels(one: _Prepared, spool: IO[bytes]) -> _Prepared:
    """The same result, its pixels written to a file: memory does not grow with the cohort."""
    if one.slices is None:
        return one
    spool.write(one.slices.pixels_hu.tobytes())
    empty = one.slices.pixels_hu[:0].copy()
    return replace(one, slices=slices.LesionSlices(one.slices.table, empty))


def _together(kept: Sequence[_Prepared], pixels_hu: Pixels) -> CohortSlices:
    """All results, one below the other."""
    return CohortSlices(
        table=ct.joined([one.slices.table for one in kept if one.slices], slices.COLUMNS),
        pixels_hu=pixels_hu,
        inventory=ct.joined([o.inventory for o in kept if o.inventory is not None], ct.COLUMNS),
        lesions=ct.joined([o.lesions for o in kept if o.lesions is not None], target.LENGTHS),
        scans=pd.DataFrame([one.scan for one in kept if one.scan], columns=list(scans.COLUMNS)),
        hounsfield=landmarks.joined([o.hounsfield for o in kept if o.hounsfield is not None]),
        problems=pd.DataFrame([o.problem for o in kept if o.problem], columns=list(PROBLEMS)),
    )


def _prepared(task: Task) -> _Prepared:
    """One patient's slices or problem; every failure becomes a named problem."""
    inventory = None
    try:
        folder = ct.folder(*task.folders, patient_id=task.patient_id)
        inventory = folder.inventory
        series = _series(task, folder)
        file = _roi_file(task, folder)
        moved = motion.Motion(series.slice_spacing_mm)
        cut = _cut(task, file, series, moved)
        lesions = target.lesion_lengths(cut.table)
        cut = _of_target(cut, lesions)
        scan = scans.scan(series, cut.table, moved.largest_mm)
        tissues = organs.measured(file, task.roi_source, series)
    except ImagingError as error:
        problem = (task.patient_id, error.rule, str(error), error.file)
    except checks.InputError as error:
        problem = (task.patient_id, "wrong_input", str(error), "")
    except Exception as error:  # one bad patient never stops the others
        said = f"{task.patient_id}: {type(error).__name__}: {error}. Please report this."
        problem = (task.patient_id, "unexpected_error", said, str(task.folders[0]))
    else:
        return _Prepared(
            inventory=inventory, slices=cut, lesions=lesions, scan=scan, hounsfield=tissues
        )
    return _Prepared(inventory=inventory, problem=problem)


def _cut(task: Task, file: Path, series: ct.Series, moved: motion.Motion) -> slices.LesionSlices:
    """The slices of all lesions; how far the body moved between them is seen on the way."""

    def watch(header: Header, hu: ct.Hounsfield) -> None:
        if header.pixel_spacing_mm is not None:
            moved.see(float(rules.along_normal([header])[0]), hu, header.pixel_spacing_mm)

    boxes = _boxes(task, file, series)
    return slices.lesion_slices(series, boxes, size=task.size, watch=watch, **task.margin)


def _series(task: Task, folder: ct.Folder) -> ct.Series:
    """The series that is meant."""

    def drawn_on(series: ct.Series) -> bool:
        return roi.drawn_on(series, _roi_file(task, folder), task.roi_source)

    return series_choice.chosen(folder, drawn_on, named=task.named_series, rule=task.series_rule)


def _boxes(task: Task, file: Path, series: ct.Series) -> pd.DataFrame:
    """The patient's boxes from where this centre keeps them."""
    read = {
        "boxes": roi.from_boxes,
        "seg": roi.from_seg,
        "rtstruct": roi.from_rtstruct,
        "nifti": roi.from_nifti,
        "sr": roi.from_sr,
    }
    return read[task.roi_source](file, series)


def _roi_file(task: Task, folder: ct.Folder) -> Path:
    """Where the patient's ROI is."""
    return roi.file_of(task.roi_path, task.patient_id, task.roi_source, folder)


def _of_target(cut: slices.LesionSlices, lesions: pd.DataFrame) -> slices.LesionSlices:
    """The slices of the target lesion alone."""
    own = target.on_target(cut.table, target.target_lesion(lesions))
    return slices.LesionSlices(own.reset_index(drop=True), cut.pixels_hu[own.index])
