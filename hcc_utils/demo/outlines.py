"""The lesion's outline as each hospital keeps it: SEG, RT structure set, label map or boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage
from scipy import ndimage

from hcc_utils.demo import boxes
from hcc_utils.demo.hospitals import Hospital
from hcc_utils.imaging import seg_writer
from hcc_utils.imaging.seg_writer import Equipment, Uid
from hcc_utils.study import results

Mask = npt.NDArray[np.bool_]
Line = npt.NDArray[np.float64]

_STUDY = "1.2.840.10008.3.1.2.3.1"  # the class that PS3.3 C.8.8.5 wants named for a study
_SAME = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "StudyInstanceUID", "StudyDate"),
    *("StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
    *("Manufacturer", "ManufacturerModelName", "InstitutionName", "SoftwareVersions"),
)


def write(
    folder: Path, images: Sequence[Dataset], lesion: Mask, hospital: Hospital, uid: Uid
) -> None:
    """
    Nothing; the lesion's outline stands in the folder, in the hospital's form.

    The file is ``<patient_id>.dcm`` (SEG, RT structure set), ``<patient_id>.nii.gz`` or, for
    boxes, ``<patient_id>.csv``, which `boxes.join` brings into the hospital's one table. Equal
    arguments give equal bytes.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write; it is there.
    images : sequence of pydicom.Dataset
        The CT's slices along their normal, evenly spaced.
    lesion : numpy.ndarray of bool, shape (n_slices, rows, columns)
        Its pixels.
    hospital : Hospital
        Whose form.
    uid : callable
        Gives the UID of what its arguments name.
    """
    name = images[0].PatientID
    if hospital.roi_source == "seg":
        scanner = Equipment(hospital.manufacturer, hospital.model, hospital.name)
        seg_writer.segmentation(images, [lesion], scanner, uid).save_as(folder / f"{name}.dcm")
    elif hospital.roi_source == "rtstruct":
        outline = structure_set(images, lesion, uid)
        outline.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    elif hospital.roi_source == "nifti":
        SimpleITK.WriteImage(label_map(images, lesion), str(folder / f"{name}.nii.gz"))
    else:
        results.write_table(boxes.around(images, lesion), folder / f"{name}.csv")


def structure_set(images: Sequence[Dataset], lesion: Mask, uid: Uid) -> Dataset:
    """
    The lesion as an RT structure set.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        The CT's slices.
    lesion : numpy.ndarray of bool, shape (n_slices, rows, columns)
        Its pixels.
    uid : callable
        Gives the UID of what its arguments name.

    Returns
    -------
    pydicom.Dataset
        One ROI, "Lesion", whose contours run along the edges of its pixels (`traced`).
    """
    outline = Dataset()
    outline.file_meta = FileMetaDataset()
    # explicit VR could not hold a contour of more than 65534 bytes (PS3.3 C.8.8.6)
    outline.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    outline.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    outline.file_meta.MediaStorageSOPInstanceUID = uid("structure set")
    outline.update({name: images[0].get(name) for name in _SAME if name in images[0]})
    outline.SOPClassUID = RTStructureSetStorage
    outline.SOPInstanceUID = uid("structure set")
    outline.SeriesInstanceUID = uid("structure set series")
    outline.SeriesNumber, outline.InstanceNumber = 300, 1
    outline.Modality = "RTSTRUCT"
    outline.SeriesDescription = "Lesion outline"
    outline.OperatorsName = outline.PositionReferenceIndicator = ""
    outline.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    outline.StructureSetLabel = "LESION"
    outline.StructureSetDate, outline.StructureSetTime = images[0].StudyDate, images[0].StudyTime
    outline.ReferencedFrameOfReferenceSequence = [_frame_of_reference(images)]
    outline.StructureSetROISequence = [
        _item(
            ROINumber=1,
            ReferencedFrameOfReferenceUID=images[0].FrameOfReferenceUID,
            ROIName="Lesion",
            ROIGenerationAlgorithm="MANUAL",
        )
    ]
    outline.ROIContourSequence = [
        _item(
            ROIDisplayColor=[255, 0, 0],
            ContourSequence=_contours(images, lesion),
            ReferencedROINumber=1,
        )
    ]
    outline.RTROIObservationsSequence = [
        _item(
            ObservationNumber=1,
            ReferencedROINumber=1,
            RTROIInterpretedType="GTV",
            ROIInterpreter="",
        )
    ]
    return outline


def label_map(images: Sequence[Dataset], lesion: Mask) -> SimpleITK.Image:
    """
    The lesion as a label map on the CT's own grid.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        The CT's slices along their normal, evenly spaced.
    lesion : numpy.ndarray of bool, shape (n_slices, rows, columns)
        Its pixels.

    Returns
    -------
    SimpleITK.Image
        1 in the lesion, 0 elsewhere.
    """
    step = (_position(images[-1]) - _position(images[0])) / (len(images) - 1)
    steps = np.column_stack([*_in_plane(images[0]), step])
    spacing = np.linalg.norm(steps, axis=0)
    image = SimpleITK.GetImageFromArray(lesion.astype(np.uint8))
    image.SetOrigin(_position(images[0]).tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((steps / spacing).ravel().tolist())
    return image


def traced(mask: Mask) -> list[Line]:
    """
    The closed lines around marked pixels.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        Marked pixels.

    Returns
    -------
    list of numpy.ndarray of float, shape (n_corners, 2)
        One line around each group of pixels that touch by their sides, along pixel edges: corners
        as (row, column), whole numbers at pixel centres. A channel of no width leads to a hole
        and back ("keyhole", PS3.3 C.8.8.6.3).
    """
    groups, count = ndimage.label(mask)
    return [_keyhole(_lines(groups == group)) for group in range(1, count + 1)]


def _lines(mask: Mask) -> list[Line]:
    """The lines between marked and other pixels: around the group, and around its holes."""
    onward = _edges(mask)
    lines = []
    while onward:
        start = corner = next(iter(onward))
        line: list[tuple[int, int]] = []
        while not line or corner != start:
            line.append(corner)
            following = onward[corner].pop()
            if not onward[corner]:
                del onward[corner]
            corner = following
        corners = np.array(line)
        came, goes = corners - np.roll(corners, 1, 0), np.roll(corners, -1, 0) - corners
        lines.append(corners[(came != goes).any(axis=1)] - 0.5)
    return lines


def _keyhole(lines: Sequence[Line]) -> Line:
    """One line of several, with a way between their nearest corners, there and back."""
    path = lines[0]
    for line in lines[1:]:
        apart = np.square(path[:, None] - line).sum(axis=2)
        here, there = np.unravel_index(apart.argmin(), apart.shape)
        round_it = np.roll(line, -there, 0)
        path = np.concatenate([path[: here + 1], round_it, round_it[:1], path[here:]])
    return path


_SIDES = {  # the neighbour beyond each side of a pixel; the side's first and last corner
    (-1, 0): ((0, 0), (0, 1)),
    (0, 1): ((0, 1), (1, 1)),
    (1, 0): ((1, 1), (1, 0)),
    (0, -1): ((1, 0), (0, 0)),
}


def _edges(mask: Mask) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner, where the sides of marked pixels lead that face others."""
    onward = defaultdict(list)
    marked = np.pad(mask, 1)
    for (down, right), (first, last) in _SIDES.items():
        facing = marked & ~np.roll(marked, (-down, -right), (0, 1))
        for row, column in (np.argwhere(facing) - 1).tolist():
            onward[row + first[0], column + first[1]].append((row + last[0], column + last[1]))
    return onward


def _contours(images: Sequence[Dataset], lesion: Mask) -> list[Dataset]:
    """Every contour of the lesion, in mm, with the slice that it lies on."""
    lines = [
        (image, line)
        for image, mask in zip(images, lesion, strict=True)
        if mask.any()
        for line in traced(mask)
    ]
    return [
        _item(
            ContourImageSequence=[_reference(image)],
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(line),
            ContourNumber=number,
            ContourData=_places(image, line).round(4).ravel().tolist(),
        )
        for number, (image, line) in enumerate(lines, start=1)
    ]


def _frame_of_reference(images: Sequence[Dataset]) -> Dataset:
    """What the structure set was drawn on: study, series and all its images."""
    series = _item(
        SeriesInstanceUID=images[0].SeriesInstanceUID,
        ContourImageSequence=[_reference(image) for image in images],
    )
    study = _item(
        ReferencedSOPClassUID=_STUDY,
        ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    frame = images[0].FrameOfReferenceUID
    return _item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])


def _reference(image: Dataset) -> Dataset:
    return _item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )


def _item(**attributes: Any) -> Dataset:
    """An item of a sequence."""
    item = Dataset()
    item.update(attributes)
    return item


def _position(image: Dataset) -> npt.NDArray[np.float64]:
    """The centre of a slice's first pixel in mm, patient axes."""
    return np.array(image.ImagePositionPatient, float)


def _in_plane(image: Dataset) -> Iterator[npt.NDArray[np.float64]]:
    """Where one pixel to the right and one pixel down lead, in mm."""
    right, down = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
    yield right * float(image.PixelSpacing[1])
    yield down * float(image.PixelSpacing[0])


def _places(image: Dataset, line: Line) -> Line:
    """Corners in mm, patient axes."""
    right, down = _in_plane(image)
    places: Line = _position(image) + line[:, 1:] * right + line[:, :1] * down
    return places
