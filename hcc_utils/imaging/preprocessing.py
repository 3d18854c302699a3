"""A centre's patients, from their folders to their lesions' slices; nobody stops the others."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import parallel, roi, rules, slices
from hcc_utils.imaging import series as ct
from hcc_utils.imaging.headers import ImagingError
from hcc_utils.imaging.slices import Pixels
from hcc_utils.study import folders

PROBLEMS: tuple[str, ...] = ("patient_id", "rule", "message", "file")
_FEW_PATIENTS = 10


@dataclass(frozen=True)
class CohortSlices:
    """A centre's slices. `pixels_hu` has one picture for each row of `table`."""

    table: pd.DataFrame
    pixels_hu: Pixels
    inventory: pd.DataFrame
    problems: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Task:
    """All that another process needs to prepare one patient."""

    patient_id: str
    folders: tuple[Path, ...]
    roi_source: str
    roi_path: Path
    chosen: str | None
    margin_pixels: int
    size: int


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """One patient's result: slices, or the problem that prevented them."""

    inventory: pd.DataFrame | None = None
    slices: slices.LesionSlices | None = None
    problem: tuple[str, str, str, str] | None = None


def cohort_slices(
    patient_ids: Sequence[str],
    dicom_root: Path | str,
    roi_source: str,
    roi_path: Path | str,
    *,
    chosen_series: Mapping[str, str],
    margin_pixels: int = 5,
    size: int = 128,
    workers: int | None = None,
    progress: parallel.Progress | None = None,
) -> CohortSlices:
    """
    The lesion slices of a centre's patients, and what kept the others from having any.

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
    chosen_series : mapping of str to str
        SeriesInstanceUID by patient, needed where a patient has several usable CT series.
    margin_pixels : int, default 5
        How far boxes are widened, in the CT's own pixels.
    size : int, default 128
        Rows and columns of a slice.
    workers : int, optional
        Processes; by default two, and one for few patients: a process needs a second to start.
    progress : callable, optional
        Called with (done, total) after each patient.

    Returns
    -------
    CohortSlices
        ``.table`` (columns of slices.csv), ``.pixels_hu`` (int16, shape (n_slices, size, size);
        kept in a temporary file, so that memory does not grow with the cohort), ``.inventory``
        (every series of these patients), ``.problems`` (one row for each patient without
        slices: ``patient_id``, ``rule``, ``message``, ``file``).

    Raises
    ------
    InputError
        If the root is no folder, or `roi_source` is not known.
    """
    checks.one_of("roi_source", roi_source, roi.SOURCES)
    if not Path(dicom_root).is_dir():
        raise checks.InputError(f"dicom_root {dicom_root} is not a folder; correct the manifest.")
    if workers is None:
        workers = 1 if len(patient_ids) < _FEW_PATIENTS else 2
    found = folders.patient_folders(dicom_root)
    tasks = [
        _Task(
            patient_id=patient_id,
            folders=found.get(patient_id, (Path(dicom_root) / patient_id,)),
            roi_source=roi_source,
            roi_path=Path(roi_path),
            chosen=chosen_series.get(patient_id),
            margin_pixels=margin_pixels,
            size=size,
        )
        for patient_id in patient_ids
    ]
    tables, inventories, problems = [], [], []
    with tempfile.TemporaryFile() as spool:
        for one in parallel.in_order(_prepared, tasks, workers=workers, progress=progress):
            if one.inventory is not None:
                inventories.append(one.inventory)
            if one.slices is not None:
                tables.append(one.slices.table)
                spool.write(one.slices.pixels_hu.tobytes())
            if one.problem is not None:
                problems.append(one.problem)
        spool.flush()
        table = ct.joined(tables, slices.COLUMNS)
        shape = (len(table), size, size)
        pixels = np.memmap(spool, np.int16, "r+", 0, shape) if len(table) else np.empty(shape)
    return CohortSlices(
        table=table,
        pixels_hu=pixels.astype(np.int16, copy=False),
        inventory=ct.joined(inventories, ct.COLUMNS),
        problems=pd.DataFrame(problems, columns=list(PROBLEMS)),
    )


def _prepared(task: _Task) -> _Prepared:
    """One patient's slices or problem; every failure becomes a named problem."""
    inventory = None
    try:
        folder = ct.folder(*task.folders, patient_id=task.patient_id)
        inventory = folder.inventory
        series = folder.open(task.chosen or _only_candidate(folder, task))
        cut = slices.lesion_slices(series, _boxes(task, series), task.margin_pixels, task.size)
    except ImagingError as error:
        problem = (task.patient_id, error.rule, str(error), error.file)
    except checks.InputError as error:
        problem = (task.patient_id, "wrong_input", str(error), "")
    except Exception as error:  # one bad patient never stops the others
        said = f"{task.patient_id}: {type(error).__name__}: {error}. Please report this."
        problem = (task.patient_id, "unexpected_error", said, str(task.folders[0]))
    else:
        return _Prepared(inventory=inventory, slices=cut)
    return _Prepared(inventory=inventory, problem=problem)


def _boxes(task: _Task, series: ct.Series) -> pd.DataFrame:
    """The patient's boxes from where this centre keeps them."""
    read = {
        "boxes": roi.from_boxes,
        "seg": roi.from_seg,
        "rtstruct": roi.from_rtstruct,
        "nifti": roi.from_nifti,
        "sr": roi.from_sr,
    }
    return read[task.roi_source](_roi_file(task), series)


def _roi_file(task: _Task) -> Path:
    """Where the patient's ROI is."""
    return roi.file_of(task.roi_path, task.patient_id, task.roi_source)


def _only_candidate(folder: ct.Folder, task: _Task) -> str:
    """The one usable series; several or none are a problem, never a guess."""
    usable = folder.usable
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise ImagingError("several_series", _which(folder, usable, task), folder.paths[0])
    rows = folder.inventory[folder.inventory["series_instance_uid"] != ""]
    if len(rows) == 1 and not rules.is_no_ct(rows["rules"].iloc[0].split()):
        folder.open(rows["series_instance_uid"].iloc[0])  # says what is wrong with it
    said = [f"{row.series_instance_uid}: {row.rules}" for row in rows.itertuples()]
    said += (folder.packed + folder.unreadable)[:1]
    raise ImagingError(
        "no_usable_series",
        f"{folder.patient_id}: {folder.where} holds no usable CT series "
        f"({'; '.join(said) or 'no DICOM file at all'}). Put the portal-venous CT there; where it "
        "was downloaded, download it again.",
        folder.paths[0],
    )


def _which(folder: ct.Folder, usable: Sequence[str], task: _Task) -> str:
    """The message for several usable series, with the lines that would settle it."""
    file = _roi_file(task)
    drawn_on = [u for u in usable if roi.drawn_on(folder.open(u), file, task.roi_source)]
    lines = " or ".join(f'series: {{{folder.patient_id}: "{uid}"}}' for uid in drawn_on or usable)
    why = " (the ROI was drawn on it)" if len(drawn_on) == 1 else ""
    return (
        f"{folder.patient_id}: {len(usable)} CT series could be meant. "
        f"Add to the centre in the manifest: {lines}{why}."
    )
