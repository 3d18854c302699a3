"""Where a reader outlines lesions: patients' series to be opened, segmentations to be written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from hcc_utils import checks
from hcc_utils.imaging import contouring, seg_writer, series_choice
from hcc_utils.imaging.contouring import Contour
from hcc_utils.imaging.headers import ImagingError
from hcc_utils.imaging.marks import Mask
from hcc_utils.imaging.seg_writer import Equipment
from hcc_utils.imaging.series import Series, folder
from hcc_utils.study import results
from hcc_utils.study.folders import patient_folders
from hcc_utils.study.manifest import SeriesRule

_EQUIPMENT = Equipment("hcc_utils", "outline_lesion", "0")


class Desk:
    """
    Patients' CT on which lesions are outlined.

    Parameters
    ----------
    dicom : pathlib.Path or str
        A root of patients' folders (`folders.patient_folders`).
    out : pathlib.Path or str
        The folder that gets ``<patient_id>.dcm``; as a manifest's ``roi`` of the source "seg".
    chosen : mapping of str to str, optional
        The SeriesInstanceUID of patients who have several series.
    rule : SeriesRule, optional
        How the series of the others is told.
    """

    def __init__(
        self,
        dicom: Path | str,
        out: Path | str,
        chosen: Mapping[str, str] | None = None,
        rule: SeriesRule | None = None,
    ) -> None:
        self._folders = patient_folders(Path(dicom))
        self._out = Path(out)
        self._chosen, self._rule = dict(chosen or {}), rule
        if not self._folders:
            raise checks.InputError(f"{dicom} holds no patient's folder; name the one that does.")

    @property
    def patients(self) -> list[str]:
        """Their names, in order."""
        return list(self._folders)

    def open(self, patient_id: str) -> Series:
        """
        A patient's series; no pixel is read yet.

        Parameters
        ----------
        patient_id : str
            Whose.

        Returns
        -------
        Series
            As `series_choice.chosen` tells it; nothing is drawn on any yet.

        Raises
        ------
        InputError
            If there is no such patient, or not exactly one series can be meant.
        """
        checks.one_of("patient", patient_id, self.patients)
        found = folder(*self._folders[patient_id], patient_id=patient_id)
        named = self._chosen.get(patient_id)
        return series_choice.chosen(found, lambda _: False, named=named, rule=self._rule)

    def save(self, series: Series, contours: Sequence[Contour]) -> Path:
        """
        Where a patient's lesions now stand as a DICOM segmentation.

        Parameters
        ----------
        series : Series
            The CT on which they were drawn.
        contours : sequence of Contour
            Its lesions; the longest is the target lesion.

        Returns
        -------
        pathlib.Path
            ``<patient_id>.dcm``; equal contours give equal bytes. What was there is replaced.

        Raises
        ------
        InputError
            If there is no lesion, or the CT keeps many slices in one file.
        """
        if not contours:
            raise checks.InputError(f"{series.patient_id}: no lesion is kept; outline one first.")
        seg = _segmentation(series, contours)
        path = self._out / f"{series.patient_id}.dcm"
        with results.replacing(path) as temporary:
            seg.save_as(temporary)
        return path


def _segmentation(series: Series, contours: Sequence[Contour]) -> pydicom.Dataset:
    """All lesions on the slices that any of them touches."""
    touched = {uid for contour in contours for uid in contour.masks}
    headers = [header for header in series.slices if header.sop_instance_uid in touched]
    if any(header.frames > 1 for header in headers):
        raise ImagingError(
            "multi_frame",
            f"{series.patient_id}: outlines on an enhanced CT, which keeps all slices in one file, "
            "cannot be written here. Draw them in 3D Slicer and export a segmentation.",
            headers[0].path,
        )
    shape = (headers[0].rows, headers[0].columns)
    lesions = [
        np.stack([c.masks.get(h.sop_instance_uid, np.zeros(shape, bool)) for h in headers])
        for c in contours
    ]
    images = [pydicom.dcmread(header.path, stop_before_pixels=True) for header in headers]
    sources = [series.series_instance_uid, _digest(lesions), *sorted(touched)]
    return seg_writer.segmentation(
        images,
        lesions,
        _EQUIPMENT,
        lambda *what: str(generate_uid(entropy_srcs=[*sources, *map(str, what)])),
        algorithm=contouring.ALGORITHM,
    )


def _digest(lesions: Sequence[Mask]) -> str:
    """What tells these pixels from others."""
    digest = hashlib.sha256()
    for lesion in lesions:
        digest.update(np.packbits(lesion).tobytes())
    return digest.hexdigest()
