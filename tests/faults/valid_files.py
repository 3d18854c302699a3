"""One patient in each form that is read, everything known by its place, to be damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from dicom_files import (
    label_map,
    mask,
    rectangle,
    store,
    truth_hu,
    uid,
    write_label_map,
    write_rtstruct,
    write_seg,
    write_series,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from test_enhanced_ct import write_enhanced
from test_hard_cases import transcode
from test_reports import report

BOX = (7, 16, 5, 14)  # with the margin of 5 it is rows 2 to 21 and columns 0 to 19: 20 x 20
SMALL = (3, 8, 12, 17)
SIZE = 20
MARKED = {"Lesion 1": {2: BOX, 3: BOX}, "Liver": {2: (1, 20, 1, 18)}}
MARKED |= {"Lesion 2": {3: SMALL}}


@dataclass(frozen=True)
class Valid:
    """A patient's CT and ROI; `files` are those to be damaged."""

    name: str
    root: Path
    source: str
    roi: Path
    files: tuple[Path, ...]


def write(root: Path) -> list[Valid]:
    """All of them, each in a folder of its own."""
    return [*_ct(root), *_enhanced(root), *_outlines(root)]


def _boxes(root: Path, name: Callable[[int], str]) -> Path:
    """A table of the lesions' boxes."""
    rows = [
        ("P1", name(on), lesion, *edges)
        for lesion, label in enumerate(("Lesion 1", "Lesion 2"), start=1)
        for on, edges in MARKED[label].items()
    ]
    names = ["patient_id", "sop_instance_uid", "lesion"]
    names += ["row_min", "row_max", "column_min", "column_max"]
    root.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=names).to_csv(root / "boxes.csv", index=False)
    return root / "boxes.csv"


def _compressed(syntax: str) -> Callable[[int, Dataset], None]:
    def change(number: int, image: Dataset) -> None:
        image.compress(syntax, generate_instance_uid=False)

    return change


def _big_endian(number: int, image: Dataset) -> None:
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    store(image, truth_hu(number).astype(">i2"))


def _deflated(number: int, image: Dataset) -> None:
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def _ct(root: Path) -> list[Valid]:
    """Classic CT in each kind of transfer syntax, with a table of boxes."""
    kinds: dict[str, tuple[Callable[[int, Dataset], object] | None, str | None]] = {
        "ct": (None, None),
        "ct_big_endian": (_big_endian, None),
        "ct_deflated": (_deflated, None),
        "ct_rle": (_compressed(RLELossless), None),
        "ct_jpeg_ls": (_compressed(JPEGLSLossless), None),
        "ct_jpeg_2000": (None, JPEG2000Lossless),
        "ct_jpeg_lossless": (None, JPEGLosslessSV1),
    }
    found = []
    for name, (change, syntax) in kinds.items():
        folder = root / name / "dicom" / "P1"
        write_series(folder, change=change or (lambda number, image: None))
        files = tuple(sorted(folder.iterdir()))
        if syntax is not None:
            for file in files:
                transcode(file, syntax)
        boxes = _boxes(root / name, lambda on: uid(1, on + 1))
        found.append(Valid(name, root / name, "boxes", boxes, files))
    return found


def _enhanced(root: Path) -> list[Valid]:
    """Enhanced CT, plain and compressed, its frames not in the slices' order."""
    order = (5, 0, 4, 1, 3, 2)
    found = []
    for name, syntax in (("enhanced", None), ("enhanced_jpeg_ls", JPEGLSLossless)):
        file = write_enhanced(root / name / "dicom" / "P1" / "ct", order, syntax)
        boxes = _boxes(root / name, lambda on: f"{uid(1, 1)}#{order.index(on) + 1}")
        found.append(Valid(name, root / name, "boxes", boxes, (file,)))
    return found


def _masks() -> dict[str, np.ndarray]:
    return {
        label: mask(**{f"s{on}": box for on, box in boxes.items()})
        for label, boxes in MARKED.items()
    }


def _labels() -> np.ndarray:
    """Two lesions side by side: a label map holds one label a pixel."""
    left, right = (3, 18, 1, 8), (5, 12, 11, 17)
    return mask(s2=left, s3=left) + 2 * mask(s3=right).astype(np.uint8)


def _outlines(root: Path) -> list[Valid]:
    """Plain CT with each form of ROI."""

    def one(name: str, source: str, file: str, draw: Callable[[Path, Path], object]) -> Valid:
        folder = write_series(root / name / "dicom" / "P1")
        path = root / name / "roi" / file
        path.parent.mkdir(parents=True)
        draw(path, folder)
        return Valid(name, root / name, source, path.parent, (path,))

    def seg(kind: str) -> Callable[[Path, Path], object]:
        masks = _masks()
        if kind == "LABELMAP":
            labels = _labels()
            masks = {"Lesion 1": labels == 1, "Lesion 2": labels == 2}
        if kind == "FRACTIONAL":
            masks = {label: held.astype(float) for label, held in masks.items()}
        return lambda path, folder: write_seg(path, folder, masks, segmentation_type=kind)

    def rtstruct(path: Path, folder: Path) -> None:
        rois = {
            label: [(on, rectangle(*box)) for on, box in boxes.items()]
            for label, boxes in MARKED.items()
        }
        write_rtstruct(path, folder, rois)

    def sr(path: Path, folder: Path) -> None:
        rows = [(label, on, box) for label, boxes in MARKED.items() for on, box in boxes.items()]
        report(folder, rows).rename(path)

    def labels(compressed: bool = False) -> Callable[[Path, Path], object]:
        import SimpleITK as sitk

        image = label_map(_labels())
        if compressed:
            return lambda path, folder: sitk.WriteImage(image, str(path), useCompression=True)
        return lambda path, folder: write_label_map(path, image)

    table = root / "boxes"
    write_series(table / "dicom" / "P1")
    boxes = _boxes(table, lambda on: uid(1, on + 1))
    return [
        *(one(f"seg_{k.lower()}", "seg", "P1.dcm", seg(k)) for k in _SEGS),
        one("rtstruct", "rtstruct", "P1.dcm", rtstruct),
        one("sr", "sr", "P1.dcm", sr),
        one("nifti", "nifti", "P1.nii", labels()),
        one("nifti_gz", "nifti", "P1.nii.gz", labels()),
        one("nrrd", "nifti", "P1.nrrd", labels()),
        one("nrrd_gz", "nifti", "P1.nrrd", labels(compressed=True)),
        one("mha", "nifti", "P1.mha", labels()),
        one("mha_gz", "nifti", "P1.mha", labels(compressed=True)),
        Valid("boxes", table, "boxes", boxes, (boxes,)),
    ]


_SEGS: Sequence[str] = ("BINARY", "FRACTIONAL", "LABELMAP")
