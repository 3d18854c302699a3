"""ROI: boxes from segmentations and tables; what does not fit the series is refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_files import PLANES, mask, rows, uid, write_seg, write_series
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi, slices

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
    assert rows(boxes) == EXPECTED


def test_only_segments_labelled_lesion_are_taken(tmp_path, folder):
    """As in HCC-TACE-Seg, where the mass stands beside the liver and vessels."""
    masks = {"Liver": np.ones_like(LESION), "Mass": LESION, "Tumor-free margin": ~LESION}
    seg = write_seg(tmp_path / "roi.dcm", folder, masks)
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED


def test_lesions_are_numbered_in_the_order_of_segments(tmp_path, folder):
    masks = {"lesion_1": mask(s4=(1, 2, 1, 2)), "liver": LESION, "lesion_2": mask(s0=(5, 6, 7, 8))}
    boxes = roi.from_seg(write_seg(tmp_path / "roi.dcm", folder, masks), opened(folder))
    assert boxes[["sop_instance_uid", "lesion", "row_min"]].to_numpy().tolist() == [
        [uid(1, 5), 1, 1],
        [uid(1, 1), 2, 5],
    ]


@pytest.mark.parametrize("kind", ["PROBABILITY", "OCCUPANCY"])
def test_a_fraction_counts_from_half_on(tmp_path, folder, kind):
    """0.5 and 1 in the lesion; 0.49 everywhere else, which is not marked."""
    fractions = np.where(LESION, 0.5, 0.49)
    fractions[1, 3, 6] = 1.0
    seg = write_seg(
        tmp_path / "roi.dcm",
        folder,
        {"Lesion": fractions},
        segmentation_type="FRACTIONAL",
        fractional_type=kind,
        max_fractional_value=200,
    )
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED


def test_a_label_map_holds_all_segments_in_each_frame(tmp_path, folder):
    """Segment 1 is the liver around; segments 2 and 3 are lesions, two of them on slice 2."""
    second = mask(s2=(14, 17, 3, 5))
    liver = ~LESION & ~second
    masks = {"Liver": liver, "Tumor": LESION, "HCC 2": second}
    seg = write_seg(tmp_path / "roi.dcm", folder, masks, segmentation_type="LABELMAP")
    assert rows(roi.from_seg(seg, opened(folder))) == [
        *EXPECTED,
        [uid(1, 3), 2, 14, 17, 3, 5, "seg"],
    ]


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("plane", PLANES)
def test_boxes_are_where_the_frames_are(tmp_path, plane, kind):
    """However the slices lie, and though highdicom orders frames by their place."""
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    masks = {"Lesion": LESION.astype(float) if kind == "FRACTIONAL" else LESION}
    seg = write_seg(tmp_path / "roi.dcm", folder, masks, segmentation_type=kind)
    order = -1 if plane == "descending" else 1
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED[::order]


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_segmentation_of_a_series_with_a_gap(tmp_path, folder, kind):
    """Slice 3 of 6 is missing when it is drawn: the others keep their boxes."""
    (folder / "1-04.dcm").unlink()
    left = np.delete(LESION, 3, axis=0)
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": left}, segmentation_type=kind)
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED


def test_a_segmentation_on_tilted_slices(tmp_path):
    """Gantry tilt of 15 degrees: each slice lies 0.65 mm further down than the one before."""

    def tilt(number, image):
        image.ImageOrientationPatient = [1, 0, 0, 0, 0.965926, -0.258819]
        image.ImagePositionPatient = [-10, -12, 2.5 * number]

    folder = write_series(tmp_path / "P1", change=tilt)
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED


def test_a_series_that_lost_a_marked_slice_is_refused(tmp_path, folder):
    """Never an empty mask: the frame's slice is not there."""
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    (folder / "1-03.dcm").unlink()
    with pytest.raises(InputError, match=r"1\.3, to which"):
        roi.from_seg(seg, opened(folder))


def test_the_order_of_files_does_not_matter(tmp_path):
    """Slice 0 lies on top: each box still belongs to the image on which it was drawn."""
    folder = write_series(tmp_path / "P1", z_mm=(12.5, 10, 7.5, 5, 2.5, 0))
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    assert rows(roi.from_seg(seg, opened(folder))) == EXPECTED[::-1]


def of_frame(image, number=0):
    return image.PerFrameFunctionalGroupsSequence[number]


def refer_elsewhere(image):
    source = of_frame(image).DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = uid(7, 7)


def move(image):
    of_frame(image).PlanePositionSequence[0].ImagePositionPatient = [-10, -12.5, 2.5]


def turn(image):
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def rename(image):
    image.SegmentSequence[0].SegmentLabel = "Segment_1"


def of_another_segment(image):
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 5


def lose_a_frame(image):
    del image.PerFrameFunctionalGroupsSequence[1]


def erase(image):
    image.PixelData = bytes(len(image.PixelData))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(refer_elsewhere, r"holds no slice .*\.7\.7, to which", id="other image"),
        pytest.param(move, "does not lie on the pixels", id="half a millimetre off"),
        pytest.param(turn, "does not lie on the pixels", id="mirrored"),
        pytest.param(rename, "it has Segment_1. Rename", id="no lesion"),
        pytest.param(of_another_segment, "names number 5, which is not there", id="segment 5"),
        pytest.param(lose_a_frame, "describes 1 of its 2 frames", id="frame not described"),
        pytest.param(erase, "marks no pixel", id="empty"),
        pytest.param(
            lambda image: setattr(image, "SegmentationType", "LABELMAP"),
            "not a DICOM segmentation .SegmentationType: LABELMAP",
            id="another kind than its class",
        ),
        pytest.param(
            lambda image: setattr(image, "FrameOfReferenceUID", uid(902)),
            r"its FrameOfReferenceUID is .*\.902, that of the slice",
            id="other frame of reference",
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
    assert [roi.drawn_on(opened(one), seg, "seg") for one in (folder, other)] == [False, True]


def refer_to_places(image):
    """No frame names an image; the series stays named as a whole."""
    for frame in image.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence


@pytest.mark.parametrize("plane", PLANES)
def test_frames_that_name_no_image_are_placed_by_position(tmp_path, plane):
    """And their boxes say so."""
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    seg = edited(write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION}), refer_to_places)
    by_position = [[*row[:-1], "seg_by_position"] for row in EXPECTED]
    assert (
        rows(roi.from_seg(seg, opened(folder)))
        == by_position[:: -1 if plane == "descending" else 1]
    )


def test_position_alone_does_not_lead_into_another_series(tmp_path, folder):
    """Phases of one examination share their positions and their frame of reference."""
    phase = write_series(tmp_path / "phase" / "P1", series=2)
    seg = edited(write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION}), refer_to_places)
    assert [roi.drawn_on(opened(one), seg, "seg") for one in (folder, phase)] == [True, False]
    with pytest.raises(InputError, match=rf"was drawn on the series {uid(1)}, not on {uid(2)}"):
        roi.from_seg(seg, opened(phase))


@pytest.mark.parametrize(("z_mm", "count"), [((0, 5, 7.5, 10), 0), ((0, 2.5, 2.5, 5), 2)])
def test_a_position_of_no_one_slice_is_refused(tmp_path, folder, z_mm, count):
    """The lesion begins at 2.5 mm."""
    seg = edited(write_seg(tmp_path / "roi.dcm", folder, {"Lesion": LESION}), refer_to_places)
    other = write_series(tmp_path / "other" / "P1", z_mm=z_mm)
    with pytest.raises(InputError, match=f"names no image, and {count} slices lie at its place"):
        roi.from_seg(seg, opened(other))


def two_acquisitions(folder):
    """Slices 0 to 5 at their places, and once more as 6 to 11; one acquisition each."""

    def numbered(number, image):
        image.AcquisitionNumber = 1 + number // 6

    return write_series(folder, z_mm=[2.5 * number for number in range(6)] * 2, change=numbered)


def acquisition(found, first):
    """Six of the files, as the manifest's acquisition_number chooses them."""
    own = {uid(1, first + number) for number in range(1, 7)}
    return replace(found, slices=tuple(h for h in found.slices if h.sop_instance_uid in own))


def alone(folder, first):
    """A folder with six of the files."""
    links = folder.parent / "alone"
    links.mkdir()
    for file in sorted(folder.iterdir())[first : first + 6]:
        (links / file.name).symlink_to(file)
    return links


@pytest.mark.parametrize("first", [0, 6])
def test_of_two_acquisitions_the_one_that_is_named(tmp_path, first):
    """Both lie at the same places; highdicom names the images of one."""
    folder = two_acquisitions(tmp_path / "P1")
    seg = write_seg(tmp_path / "roi.dcm", alone(folder, first), {"Lesion": LESION})
    found = opened(folder)
    named = [uid(1, first + 2), uid(1, first + 3)]
    assert roi.from_seg(seg, found)["sop_instance_uid"].tolist() == named
    halves = [acquisition(found, 0), acquisition(found, 6)]
    assert [roi.drawn_on(half, seg, "seg") for half in halves] == [first == 0, first == 6]
    assert len(slices.lesion_slices(found, roi.from_seg(seg, found), size=8).table) == 2


def test_of_two_acquisitions_that_are_both_named_one_must_be_chosen(tmp_path):
    """As dcmqi 1.5.7 (3D Slicer's exporter) writes it: each frame names all images at its place."""
    folder = two_acquisitions(tmp_path / "P1")

    def name_both(image):
        for frame in image.PerFrameFunctionalGroupsSequence:
            sources = frame.DerivationImageSequence[0].SourceImageSequence
            again = deepcopy(sources[0])
            number = int(again.ReferencedSOPInstanceUID.rpartition(".")[2])
            again.ReferencedSOPInstanceUID = uid(1, number + 6)
            sources.insert(0, again)

    seg = write_seg(tmp_path / "roi.dcm", alone(folder, 0), {"Lesion": LESION})
    edited(seg, name_both)
    found = opened(folder)
    with pytest.raises(InputError, match=r"2 slices at once.*acquisition_number in the manifest"):
        roi.from_seg(seg, found)
    for first in (0, 6):
        half = acquisition(found, first)
        assert roi.drawn_on(half, seg, "seg")
        named = [uid(1, first + 2), uid(1, first + 3)]
        assert roi.from_seg(seg, half)["sop_instance_uid"].tolist() == named


def test_a_ct_or_a_missing_file_is_no_segmentation(tmp_path, folder):
    with pytest.raises(InputError, match="not a DICOM segmentation"):
        roi.from_seg(folder / "1-01.dcm", opened(folder))
    with pytest.raises(InputError, match="put the patient's SEG there"):
        roi.from_seg(tmp_path / "none.dcm", opened(folder))


HEADER = "patient_id,sop_instance_uid,row_min,row_max,column_min,column_max"


def table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_boxes_of_one_patient_are_read(tmp_path, folder):
    lines = f"P1,{uid(1, 2)},3,8,4,9", "P2,1.3,0,1,0,1", f"P1,{uid(1, 3)},3.0,8,4,9"
    boxes = roi.from_boxes(table(tmp_path, *lines), opened(folder))
    assert list(boxes.columns) == list(roi.COLUMNS)
    assert boxes["longest_mm"].isna().all()
    assert rows(boxes) == [
        [uid(1, 2), 1, 3, 8, 4, 9, "boxes"],
        [uid(1, 3), 1, 3, 8, 4, 9, "boxes"],
    ]


def test_a_changed_table_is_read_again(tmp_path, folder):
    lines = f"P1,{uid(1, 2)},3,8,4,9", f"P1,{uid(1, 3)},3,8,4,9"
    roi.from_boxes(table(tmp_path, lines[0]), opened(folder))
    assert len(roi.from_boxes(table(tmp_path, *lines), opened(folder))) == 2


@pytest.mark.parametrize("edges", ["8,3,4,9", "3,8,-1,9", "3,8.5,4,9", "3,,4,9"])
def test_an_impossible_box_is_named(tmp_path, folder, edges):
    with pytest.raises(InputError, match=r"P1 has 1 box.*first on slice 1\.2"):
        roi.from_boxes(table(tmp_path, f"P1,1.2,{edges}"), opened(folder))


@pytest.mark.parametrize("frame", ["", "1", "1.0"])
def test_an_image_of_one_frame_may_be_named_with_it(tmp_path, folder, frame):
    path = table(tmp_path, f"P1,{uid(1, 2)},3,8,4,9,{frame}", header=f"{HEADER},frame_number")
    assert roi.from_boxes(path, opened(folder))["sop_instance_uid"].tolist() == [uid(1, 2)]


@pytest.mark.parametrize("frame", ["0", "-1", "1.5", "first"])
def test_an_impossible_frame_is_named(tmp_path, folder, frame):
    path = table(tmp_path, f"P1,{uid(1, 2)},3,8,4,9,{frame}", header=f"{HEADER},frame_number")
    with pytest.raises(InputError, match=f"whole number from 1, or empty; .* P1 is '{frame}'"):
        roi.from_boxes(path, opened(folder))


def test_a_box_on_another_series_is_refused(tmp_path, folder):
    path = table(tmp_path, f"P1,{uid(1, 2)},3,8,4,9", f"P1,{uid(2, 2)},3,8,4,9")
    with pytest.raises(InputError, match=r"to which the ROI refers \(1 of its 2 slices"):
        roi.from_boxes(path, opened(folder))


@pytest.mark.parametrize(
    "damage", [b"P1,1.2,3,8,4,9,9,9\n", b"P1,1.2,3,8,4,\xff\n", b"P1,1.2,3,8,4,1\x002\n"]
)
def test_a_damaged_table_is_named(tmp_path, damage):
    """A cell too many, no UTF-8, and a byte 0, behind which pandas would take 12 for 1."""
    path = table(tmp_path, "P1,1.2,3,8,4,9")
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(InputError, match=r"boxes\.csv is damaged .*Export it again"):
        roi.drawn_on(opened(write_series(tmp_path / "P1")), path, "boxes")


def test_what_a_table_lacks_is_named(tmp_path, folder):
    found = opened(folder)
    with pytest.raises(InputError, match="has no row for P1"):
        roi.from_boxes(table(tmp_path, "P3,1.2,3,8,4,9"), found)
    with pytest.raises(InputError, match=r"lacks 1 column.*'row_min' \(nearest: 'row_mim'\)"):
        roi.from_boxes(table(tmp_path, header=HEADER.replace("row_min", "row_mim")), found)
    with pytest.raises(InputError, match="is not there"):
        roi.from_boxes(tmp_path / "none.csv", found)
