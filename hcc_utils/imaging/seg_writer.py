"""Lesions written as a DICOM segmentation, with nothing of now in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import hcc_utils
from hcc_utils.imaging.marks import Mask

Uid = Callable[..., str]

_NO_DATE, _NO_TIME = "19000101", "000000"  # DICOM wants the content's where the CT says none


class Equipment(NamedTuple):
    """What made the outlines."""

    manufacturer: str
    model: str
    serial_number: str


def segmentation(
    images: Sequence[Dataset],
    lesions: Sequence[Mask],
    equipment: Equipment,
    uid: Uid,
    *,
    algorithm: str = "",
) -> hd.seg.Segmentation:
    """
    Lesions as a BINARY segmentation: equal arguments give an equal one.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        The CT's slices; their pixels are not looked at. Dates and times are
        the study's; where it has none, 1900-01-01 and midnight.
    lesions : sequence of numpy.ndarray of bool, shape (n_slices, rows, columns)
        The pixels of each lesion.
    equipment : Equipment
        What made the outlines.
    uid : callable
        Gives the UID of what its arguments name.
    algorithm : str, optional
        What drew the outlines from somebody's seeds; without it they were drawn by hand.

    Returns
    -------
    highdicom.seg.Segmentation
        Its one segment is "Lesion", several are "Lesion 1", "Lesion 2", ...; each frame refers to
        its slice by SOPInstanceUID.
    """
    labels = [f"Lesion {number}" for number in range(1, len(lesions) + 1)]
    if len(lesions) == 1:
        labels = ["Lesion"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that hospitals write
        seg = hd.seg.Segmentation(
            source_images=images,
            pixel_array=np.stack(lesions, axis=-1),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _described(number, label, uid, algorithm) for number, label in enumerate(labels, 1)
            ],
            series_instance_uid=uid("segmentation series"),
            series_number=300,
            sop_instance_uid=uid("segmentation"),
            instance_number=1,
            manufacturer=equipment.manufacturer,
            manufacturer_model_name=equipment.model,
            software_versions=hcc_utils.__version__,
            device_serial_number=equipment.serial_number,
            series_description="Lesion segmentation",
            content_label="LESION",
        )
    _dated(seg, images[0].get("StudyDate") or _NO_DATE, images[0].get("StudyTime") or _NO_TIME)
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid("dimensions")
    return seg


def _described(number: int, label: str, uid: Uid, algorithm: str) -> hd.seg.SegmentDescription:
    """What a segment is, and who drew it."""
    kinds = hd.seg.SegmentAlgorithmTypeValues
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=kinds.SEMIAUTOMATIC if algorithm else kinds.MANUAL,
        algorithm_identification=_identified(algorithm) if algorithm else None,
        tracking_uid=uid("lesion", number),
        tracking_id=label,
    )


def _identified(algorithm: str) -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence(
        name=algorithm, family=codes.cid7162.EdgeDetection, version=hcc_utils.__version__
    )


def _dated(seg: hd.seg.Segmentation, date: str, time: str) -> None:
    """Nothing; every date and time in it is this one."""
    seg.InstanceCreationDate = seg.ContentDate = seg.SeriesDate = date
    seg.InstanceCreationTime = seg.ContentTime = seg.SeriesTime = time
    for equipment in seg.ContributingEquipmentSequence:
        if "ContributionDateTime" in equipment:
            equipment.ContributionDateTime = f"{date}{time}"
