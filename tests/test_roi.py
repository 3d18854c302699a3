"""ROI: boxes from segmentations and tables; what does not fit the series is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import mask, uid, write_seg, write_series
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi

LESION = mask(s1=(3, 8, 4, 9), s2=(2, 10, 4, 12))
EXPECTED = [[uid(1, 2), 1, 3, 8, 4, 9, "seg"], [uid(1, 3), 1, 2, 10, 4, 12, "seg"]]


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1")


def edited(path, change):
    """The segmentation once more, after a change."""
    image = pydicom.dcmread(path)
    change(image)
    image.save_as(path)
    return path


def test_boxes_just_hold_what_is_marked(tmp_path, folder):
    """First and last marked row and column, both inclusive, on the slices that were marked."""
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    boxes = roi.from_seg(seg, opened(folder))
    assert list(boxes.columns) == list(roi.COLUMNS)
    assert boxes.to_numpy().tolist() == EXPECTED


def test_only_segments_labelled_lesion_are_taken(tmp_path, folder):
    """As in HCC-TACE-Seg, where the mass stands beside the liver and vessels."""
    masks = {"Liver": np.ones_like(LESION), "Mass": LESION, "Tumor-free margin": ~LESION}
    seg = write_seg(tmp_path / "roi.dcm", folder, masks)
    assert roi.from_seg(seg, opened(folder)).to_numpy().tolist() == EXPECTED


def test_lesions_are_numbered_in_the_order_of_segments(tmp_path, folder):
    masks = {"lesion_1": mask(s4=(1, 2, 1, 2)), "liver": LESION, "lesion_2": mask(s0=(5, 6, 7, 8))}
    boxes = roi.from_seg(write_seg(tmp_path / "roi.dcm", folder, masks), opened(folder))
    assert boxes[["sop_instance_uid", "lesion", "row_min"]].to_numpy().tolist() == [
        [uid(1, 5), 1, 1],
        [uid(1, 1), 2, 5],
    ]


def test_the_order_of_files_does_not_matter(tmp_path):
    """Slice 0 lies on top: each box still belongs to the image on which it was drawn."""
    folder = write_series(tmp_path / "P1", z_mm=(12.5, 10, 7.5, 5, 2.5, 0))
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    assert roi.from_seg(seg, opened(folder)).to_numpy().tolist() == EXPECTED[::-1]


def of_frame(image, number=0):
    return image.PerFrameFunctionalGroupsSequence[number]


def refer_elsewhere(image):
    source = of_frame(image).DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = uid(7, 7)


def refer_nowhere(image):
    del of_frame(image).DerivationImageSequence


def move(image):
    of_frame(image).PlanePositionSequence[0].ImagePositionPatient = [-10, -12.5, 2.5]


def turn(image):
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def rename(image):
    image.SegmentSequence[0].SegmentLabel = "Segment_1"


def erase(image):
    image.PixelData = bytes(len(image.PixelData))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(refer_elsewhere, r"holds no slice .*\.7\.7, to which", id="other image"),
        pytest.param(refer_nowhere, "frame 1 refers to 0 images", id="no image"),
        pytest.param(move, "does not lie on the pixels", id="half a millimetre off"),
        pytest.param(turn, "does not lie on the pixels", id="mirrored"),
        pytest.param(rename, "it has Segment_1. Rename", id="no lesion"),
        pytest.param(erase, "marks no pixel", id="empty"),
        pytest.param(
            lambda image: setattr(image, "SegmentationType", "FRACTIONAL"),
            "not a BINARY DICOM segmentation .SegmentationType: FRACTIONAL",
            id="fractional",
        ),
    ],
)
def test_a_segmentation_that_does_not_fit_is_refused(tmp_path, folder, change, message):
    seg = edited(write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION}), change)
    with pytest.raises(InputError, match=message):
        roi.from_seg(seg, opened(folder))


def test_a_segmentation_of_the_other_series_is_refused(tmp_path, folder):
    other = write_series(tmp_path / "other", series=2)
    seg = write_seg(tmp_path / "roi.dcm", other, {"Lesion": LESION})
    with pytest.raises(InputError, match="Give the series on which the ROI was drawn"):
        roi.from_seg(seg, opened(folder))


def test_a_ct_or_a_missing_file_is_no_segmentation(tmp_path, folder):
    with pytest.raises(InputError, match="not a BINARY DICOM segmentation"):
        roi.from_seg(folder / "1-01.dcm", opened(folder))
    with pytest.raises(InputError, match="put the patient's SEG there"):
        roi.from_seg(tmp_path / "none.dcm", opened(folder))


HEADER = "patient_id,sop_instance_uid,row_min,row_max,column_min,column_max"


def table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_boxes_of_one_patient_are_read(tmp_path):
    path = table(tmp_path, "P1,1.2,3,8,4,9", "P2,1.3,0,1,0,1", "P1,1.4,3.0,8,4,9")
    boxes = roi.from_boxes(path, "P1")
    assert list(boxes.columns) == list(roi.COLUMNS)
    assert boxes.to_numpy().tolist() == [
        ["1.2", 1, 3, 8, 4, 9, "boxes"],
        ["1.4", 1, 3, 8, 4, 9, "boxes"],
    ]


def test_a_changed_table_is_read_again(tmp_path):
    roi.from_boxes(table(tmp_path, "P1,1.2,3,8,4,9"), "P1")
    path = table(tmp_path, "P1,1.2,3,8,4,9", "P1,1.3,3,8,4,9")
    assert len(roi.from_boxes(path, "P1")) == 2


@pytest.mark.parametrize(
    "line", ["P1,1.2,8,3,4,9", "P1,1.2,3,8,-1,9", "P1,1.2,3,8.5,4,9", "P1,1.2,3,,4,9"]
)
def test_an_impossible_box_is_named(tmp_path, line):
    with pytest.raises(InputError, match=r"P1 has 1 box.*first on slice 1\.2"):
        roi.from_boxes(table(tmp_path, line), "P1")


def test_what_a_table_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match="has no row for P3"):
        roi.from_boxes(table(tmp_path, "P1,1.2,3,8,4,9"), "P3")
    with pytest.raises(InputError, match=r"lacks 1 column.*'row_min' \(nearest: 'row_mim'\)"):
        roi.from_boxes(table(tmp_path, header=HEADER.replace("row_min", "row_mim")), "P1")
    with pytest.raises(InputError, match="is not there"):
        roi.from_boxes(tmp_path / "none.csv", "P1")
