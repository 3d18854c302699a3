"""Small CT series and segmentations whose every value is known from its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from hcc_utils.imaging import preprocessing

ROWS, COLUMNS = 24, 20
CT = "1.2.840.10008.5.1.4.1.1.2"
AXIAL = (1, 0, 0, 0, 1, 0)


def truth_hu(number: int) -> np.ndarray:
    """Slice number s, row r, column c hold 500 s + 20 r + c - 1000 HU: no two are alike."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return 500 * number + 20 * rows + columns - 1000


def uid(*parts: int) -> str:
    """A UID under the root for examples; the same parts give the same UID."""
    return ".".join(["1.2.826.0.1.3680043.8.498", *map(str, parts)])


def ct_slice(number: int, z_mm: float, *, patient_id: str, series: int = 1) -> Dataset:
    """One slice of a plain series: signed 16 bit, stored values are Hounsfield units."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = UID(CT)
    image.file_meta.MediaStorageSOPInstanceUID = UID(uid(series, number + 1))
    image.SOPClassUID = CT
    image.SOPInstanceUID = uid(series, number + 1)
    image.StudyInstanceUID = uid(900)
    image.SeriesInstanceUID = uid(series)
    image.FrameOfReferenceUID = uid(901)
    image.PatientID = patient_id
    image.PatientName = ""
    image.PatientBirthDate = ""
    image.PatientSex = ""
    image.StudyDate = image.StudyTime = image.StudyID = image.AccessionNumber = ""
    image.ReferringPhysicianName = ""
    image.Modality = "CT"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SeriesNumber = series
    image.InstanceNumber = number + 1
    image.ImagePositionPatient = [-10.0, -12.0, z_mm]
    image.ImageOrientationPatient = list(AXIAL)
    image.PixelSpacing = [0.75, 0.75]
    image.SliceThickness = 2.5
    image.KVP = 120
    image.ConvolutionKernel = "STANDARD"
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = ROWS, COLUMNS
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    image.PixelData = truth_hu(number).astype("<i2").tobytes()
    return image


def store(image: Dataset, stored: np.ndarray) -> None:
    """Put other stored values into a slice, with the type that they have."""
    image.PixelRepresentation = int(stored.dtype.kind == "i")
    image.PixelData = stored.tobytes()


def write_series(
    folder: Path,
    *,
    z_mm: Sequence[float] = (0, 2.5, 5, 7.5, 10, 12.5),
    patient_id: str | None = None,
    series: int = 1,
    change: Callable[[int, Dataset], object] = lambda number, image: None,
) -> Path:
    """A series of one slice for each z; `change` may alter each before it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, z in enumerate(z_mm):
        image = ct_slice(number, z, patient_id=patient_id or folder.name, series=series)
        change(number, image)
        image.save_as(folder / f"{series}-{number + 1:02d}.dcm", enforce_file_format=True)
    return folder


def write_seg(path: Path, folder: Path, masks: dict[str, np.ndarray], **options: object) -> Path:
    """A segmentation by highdicom; each label's mask has the shape (slices, rows, columns)."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(masks, start=1)
    ]
    pixels = np.stack(list(masks.values()), axis=-1)
    seg = hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels if pixels.dtype.kind == "f" else pixels.astype(np.uint8),
        segmentation_type=options.pop("segmentation_type", "BINARY"),
        segment_descriptions=described,
        series_instance_uid=uid(300),
        series_number=300,
        sop_instance_uid=uid(300, 1),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="0",
        device_serial_number="0",
        **options,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)
    return path


def rows(boxes: pd.DataFrame) -> list[list[object]]:
    """An ROI's boxes without the lengths of what is marked, which test_target.py holds."""
    return boxes.drop(columns="longest_mm").to_numpy().tolist()


def mask(**boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Six slices, marked in a cross that just fills each box; ``s2=(3, 8, 4, 9)`` is slice 2."""
    marked = np.zeros((6, ROWS, COLUMNS), bool)
    for name, (row_min, row_max, column_min, column_max) in boxes.items():
        number = int(name[1:])
        marked[number, row_min : row_max + 1, (column_min + column_max) // 2] = True
        marked[number, (row_min + row_max) // 2, column_min : column_max + 1] = True
    return marked


_TURNED = ((0.8, 0.0, 0.6), (0.0, 1.0, 0.0))  # right and down; the normal is (-0.6, 0, 0.8)
_SKEWED = ((0.8, 0.6, 0.0), (-0.36, 0.48, 0.8))  # right and down; the normal is (0.48, -0.64, 0.6)


def lying(
    right: Sequence[float] = (1, 0, 0),
    down: Sequence[float] = (0, 1, 0),
    *,
    spacing: Sequence[float] = (0.75, 0.75),
    apart: float = 2.5,
) -> Callable[[int, Dataset], None]:
    """A change for `write_series`: slices in this plane, stacked along their normal."""

    def change(number: int, image: Dataset) -> None:
        position = np.array([-10.0, -12.0, 0.0]) + number * apart * np.cross(right, down)
        image.ImagePositionPatient = position.round(6).tolist()
        image.ImageOrientationPatient = [*right, *down]
        image.PixelSpacing = list(spacing)

    return change


PLANES = {
    "axial": lying(),
    "anisotropic": lying(spacing=(0.5, 1.25), apart=7.0),
    "descending": lying(apart=-2.5),
    "coronal": lying((1, 0, 0), (0, 0, -1)),
    "oblique": lying(*_TURNED, spacing=(0.6, 0.9), apart=3.0),
    "double oblique": lying(*_SKEWED, spacing=(0.9, 0.6), apart=4.0),
}
"""How a series may lie in space."""


def place_mm(image: Dataset, row: float, column: float) -> list[float]:
    """A pixel's place in the patient, by the equation of DICOM PS3.3 C.7.6.2.1.1."""
    position = [float(v) for v in image.ImagePositionPatient]
    right, down = image.ImageOrientationPatient[:3], image.ImageOrientationPatient[3:]
    between_rows, between_columns = image.PixelSpacing
    return [
        p + r * between_columns * column + d * between_rows * row
        for p, r, d in zip(position, right, down, strict=True)
    ]


def rectangle(
    row_min: float, row_max: float, column_min: float, column_max: float, edge: float = 0.5
) -> list[tuple[float, float]]:
    """The corners of a box, along the edges of its pixels or (edge=0) through their centres."""
    top, bottom, left, right = row_min - edge, row_max + edge, column_min - edge, column_max + edge
    return [(top, left), (top, right), (bottom, right), (bottom, left)]


def write_rtstruct(
    path: Path, folder: Path, rois: dict[str, list[tuple[int, list[tuple[float, float]]]]]
) -> Path:
    """A structure set; each ROI's contours are (number of the slice, corners as (row, column))."""
    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.SOPInstanceUID = uid(400, 1)
    dataset.Modality = "RTSTRUCT"
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber = drawn.ReferencedROINumber = number
        roi.ROIName = name
        roi.ReferencedFrameOfReferenceUID = images[0].FrameOfReferenceUID
        drawn.ContourSequence = [_contour(images[on], corners) for on, corners in contours]
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _contour(image: Dataset, corners: list[tuple[float, float]]) -> Dataset:
    """One closed contour that names its slice."""
    contour, reference = Dataset(), Dataset()
    reference.ReferencedSOPClassUID = CT
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    contour.ContourImageSequence = [reference]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(corners)
    contour.ContourData = [
        round(value, 4) for row, column in corners for value in place_mm(image, row, column)
    ]
    return contour


def label_map(
    labels: np.ndarray,
    *,
    origin: Sequence[float] = (-10, -12, 0),
    spacing: Sequence[float] = (0.75, 0.75, 2.5),
    direction: Sequence[float] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
) -> sitk.Image:
    """Labels with the axes (plane, row, column) on the grid of `write_series`."""
    image = sitk.GetImageFromArray(np.asarray(labels))
    image.SetOrigin([float(v) for v in origin])
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection([float(v) for v in direction])
    return image


def write_label_map(path: Path, image: sitk.Image) -> Path:
    """An image in the form that the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def cohort_slices(
    *who_and_where: object, size: int = 128, workers: int | None = None, **more: object
) -> preprocessing.CohortSlices:
    """What comes of one hospital's patients; `preprocessing.tasks` says what it takes."""
    work = preprocessing.tasks(*who_and_where, size=size, **more)
    return preprocessing.prepared(work, size, workers=workers)
