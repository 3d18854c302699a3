"""
Each form of ROI against each check: another CT's, another place's, or one in air is refused.

The mask is one box on two slices; each form is made by its own writer. A label map carries no name
of a patient, image or frame of reference, and a report and a table count in pixels of the images
that they name: what a form does not say cannot be checked, and stands nowhere here.
"""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import (
    COLUMNS,
    ROWS,
    label_map,
    rectangle,
    store,
    uid,
    write_label_map,
    write_rtstruct,
    write_seg,
    write_series,
)
from test_reports import report
from test_series import opened

from hcc_utils.imaging import roi, slices
from hcc_utils.imaging.headers import ImagingError

BOX = (12, 17, 9, 14)
ON = (2, 3)


def paint(number, image):
    """A body of 50 HU in rows and columns from 9 on, air around it."""
    hu = np.full((ROWS, COLUMNS), -1000, "<i2")
    hu[9:, 9:] = 50
    store(image, hu)


def held(box):
    mask = np.zeros((6, ROWS, COLUMNS), bool)
    mask[ON[0] : ON[1] + 1, box[0] : box[1] + 1, box[2] : box[3] + 1] = True
    return mask


def as_seg(folder, box, kind="BINARY"):
    masks = {"Lesion": held(box).astype(float) if kind == "FRACTIONAL" else held(box)}
    return write_seg(folder.parent / "roi.dcm", folder, masks, segmentation_type=kind)


def as_rtstruct(folder, box):
    drawn = {"Lesion": [(number, rectangle(*box)) for number in ON]}
    return write_rtstruct(folder.parent / "roi.dcm", folder, drawn)


def nameless(path):
    """The same without the names of images."""
    dataset = pydicom.dcmread(path)
    for frame in dataset.get("PerFrameFunctionalGroupsSequence", []):
        del frame.DerivationImageSequence
    for drawn in dataset.get("ROIContourSequence", []):
        for contour in drawn.ContourSequence:
            del contour.ContourImageSequence
    if "ReferencedSeriesSequence" in dataset:
        del dataset.ReferencedSeriesSequence
    dataset.save_as(path)
    return path


def as_boxes(folder, box):
    files = sorted(folder.glob("*.dcm"))
    named = [pydicom.dcmread(files[on]).SOPInstanceUID for on in ON]
    lines = [",".join(map(str, ["P1", sop, *box])) for sop in named]
    path = folder.parent / "boxes.csv"
    path.write_text("\n".join(["patient_id,sop_instance_uid," + ",".join(roi.EDGES), *lines]))
    return path


def as_nifti(folder, box):
    return write_label_map(folder.parent / "roi.nii.gz", label_map(held(box).astype(np.uint8)))


WRITE = {
    "seg": as_seg,
    "seg, fractional": lambda folder, box: as_seg(folder, box, "FRACTIONAL"),
    "seg, labelmap": lambda folder, box: as_seg(folder, box, "LABELMAP"),
    "seg, by place": lambda folder, box: nameless(as_seg(folder, box)),
    "rtstruct": as_rtstruct,
    "rtstruct, by place": lambda folder, box: nameless(as_rtstruct(folder, box)),
    "sr": lambda folder, box: report(folder, [("Lesion", on, box) for on in ON]),
    "nifti": as_nifti,
    "boxes": as_boxes,
}
READ = {
    "seg": roi.from_seg,
    "rtstruct": roi.from_rtstruct,
    "sr": roi.from_sr,
    "nifti": roi.from_nifti,
    "boxes": roi.from_boxes,
}
DICOM = [form for form in WRITE if form.partition(",")[0] in ("seg", "rtstruct")]
NAMING = [form for form in WRITE if not form.endswith("place") and form != "nifti"]
PLACED = [form for form in WRITE if form not in NAMING]


def cut(form, series_folder, box=BOX, drawn_on=None):
    """The lesion's slices, its ROI drawn on this series or on another."""
    path = WRITE[form](drawn_on or series_folder, box)
    found = opened(series_folder)
    boxes = READ[form.partition(",")[0]](path, found)
    return slices.lesion_slices(found, boxes, margin_pixels=0, size=6)


def rule(form, *args, **options):
    """The name of the rule that refuses it."""
    with pytest.raises(ImagingError) as refused:
        cut(form, *args, **options)
    return refused.value.rule


def other(tmp_path, change=lambda number, image: None, **options):
    """Another series that an ROI was drawn on."""

    def both(number, image):
        paint(number, image)
        change(number, image)

    return write_series(tmp_path / "other" / "P1", change=both, **options)


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1", change=paint)


@pytest.mark.parametrize("form", WRITE)
def test_what_fits_is_cut(folder, form):
    found = cut(form, folder)
    assert found.table["sop_instance_uid"].tolist() == [uid(1, on + 1) for on in ON]
    assert found.table[list(roi.EDGES)].to_numpy().tolist() == [list(BOX)] * 2
    np.testing.assert_array_equal(found.pixels_hu, 50)


@pytest.mark.parametrize("form", WRITE)
def test_outside_the_body(folder, form):
    """Rows and columns counted from the wrong corner: all of it in air."""
    assert rule(form, folder, (0, 5, 0, 5)) == "outside_body"


@pytest.mark.parametrize("form", NAMING)
def test_references_into_another_series(tmp_path, folder, form):
    assert rule(form, folder, drawn_on=other(tmp_path, series=2)) == "unresolved_reference"


@pytest.mark.parametrize("form", WRITE)
def test_a_slice_of_it_is_missing(folder, form):
    path = WRITE[form](folder, BOX)
    (folder / f"1-{ON[1] + 1:02d}.dcm").unlink()
    with pytest.raises(ImagingError) as refused:
        READ[form.partition(",")[0]](path, opened(folder))
    assert refused.value.rule == "unresolved_reference"


@pytest.mark.parametrize("form", DICOM)
def test_another_frame_of_reference(tmp_path, folder, form):
    """The same places, counted from another origin."""

    def change(_number, image):
        image.FrameOfReferenceUID = uid(902)

    assert rule(form, folder, drawn_on=other(tmp_path, change)) == "other_frame_of_reference"


MOVED = {
    "beside": {"ImagePositionPatient": lambda z: [-9.5, -12.0, z]},
    "turned": {"ImageOrientationPatient": lambda _: [-1, 0, 0, 0, 1, 0]},
    "other pixels": {"PixelSpacing": lambda _: [0.8, 0.8]},
    "off the plane": {"ImagePositionPatient": lambda z: [-10.0, -12.0, z + 0.3]},
}


@pytest.mark.parametrize("moved", MOVED)
@pytest.mark.parametrize("form", [f for f in DICOM if f.startswith("seg")])
def test_a_segmentation_on_another_grid(tmp_path, folder, form, moved):
    """The images that it names lie elsewhere now; by place alone none is found."""

    def change(number, image):
        for keyword, value in MOVED[moved].items():
            setattr(image, keyword, value(2.5 * number))

    found = rule(form, folder, drawn_on=other(tmp_path, change))
    by_place = form.endswith("place") and "ImagePositionPatient" in MOVED[moved]
    assert found == ("unresolved_reference" if by_place else "other_grid")


@pytest.mark.parametrize("form", [f for f in DICOM if f.startswith("seg")])
def test_a_segmentation_of_another_size(tmp_path, folder, form):
    """Drawn on four rows less."""

    def change(_number, image):
        image.Rows = ROWS - 4
        image.PixelData = image.PixelData[: 2 * (ROWS - 4) * COLUMNS]

    path = as_size(form, other(tmp_path, change))
    with pytest.raises(ImagingError) as refused:
        roi.from_seg(path, opened(folder))
    assert refused.value.rule == "other_grid"


def as_size(form, drawn_on):
    """A segmentation of fewer rows."""
    kind = {"seg, fractional": "FRACTIONAL", "seg, labelmap": "LABELMAP"}.get(form, "BINARY")
    pixels = held(BOX)[:, : ROWS - 4]
    masks = {"Lesion": pixels.astype(float) if kind == "FRACTIONAL" else pixels}
    path = write_seg(drawn_on.parent / "roi.dcm", drawn_on, masks, segmentation_type=kind)
    return nameless(path) if form.endswith("place") else path


@pytest.mark.parametrize("form", ["rtstruct", "rtstruct, by place"])
def test_contours_off_their_slice(tmp_path, folder, form):
    """Drawn 0.3 mm above it."""

    def change(number, image):
        image.ImagePositionPatient = [-10.0, -12.0, 2.5 * number + 0.3]

    found = rule(form, folder, drawn_on=other(tmp_path, change))
    assert found == ("unresolved_reference" if form.endswith("place") else "other_grid")


@pytest.mark.parametrize("form", ["rtstruct", "sr", "boxes"])
def test_beyond_the_images_edge(folder, form):
    """The last column is 19."""
    found = rule(form, folder, (12, 17, 15, 22))
    assert found == ("box_outside_image" if form == "boxes" else "other_grid")
