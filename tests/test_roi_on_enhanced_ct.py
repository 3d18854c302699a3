"""ROI drawn on enhanced CT: each outline belongs to the frame that it names, by file and number."""

from __future__ import annotations

import warnings
from functools import partial

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_files import mask, rectangle, uid, write_rtstruct, write_seg, write_series
from test_enhanced_ct import ENHANCED, opened, write_enhanced
from test_reports import report

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi, series, slices
from hcc_utils.imaging.headers import ImagingError

BOXES = {1: (3, 8, 4, 9), 2: (2, 10, 4, 12)}
"""By slice, counted from below."""
ORDER = (5, 0, 4, 1, 3, 2)
"""The slice that each frame holds: the lesion's are frames 4 and 6."""


def as_seg(folder, kind="BINARY"):
    """By highdicom, which writes frame numbers itself."""
    held = mask(**{f"s{number}": box for number, box in BOXES.items()})[list(ORDER)]
    pixels = held.astype(float) if kind == "FRACTIONAL" else held
    path = folder.parent / "roi.dcm"
    return write_seg(path, folder, {"Lesion": pixels}, segmentation_type=kind)


def as_rtstruct(folder):
    """Drawn on plain slices at the same places; then its contours name frames."""
    plain = write_series(folder.parent / "plain")
    drawn = [(number, rectangle(*box)) for number, box in BOXES.items()]
    path = write_rtstruct(folder.parent / "roi.dcm", plain, {"Lesion": drawn})
    dataset = pydicom.dcmread(path)
    contours = dataset.ROIContourSequence[0].ContourSequence
    for number, contour in zip(BOXES, contours, strict=True):
        image = contour.ContourImageSequence[0]
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = ENHANCED, uid(1, 1)
        image.ReferencedFrameNumber = ORDER.index(number) + 1
    dataset.save_as(path)
    return path


def as_sr(folder):
    """By highdicom, of one image of several frames."""

    def frame_of(images, number):
        frames = [ORDER.index(number) + 1]
        return highdicom.sr.SourceImageForRegion(ENHANCED, images[0].SOPInstanceUID, frames)

    drawn = [("Lesion", number, box) for number, box in BOXES.items()]
    return report(folder, drawn, source_of=frame_of)


def as_boxes(folder):
    lines = ["patient_id,sop_instance_uid,frame_number,row_min,row_max,column_min,column_max"]
    for number, box in BOXES.items():
        lines.append(",".join(map(str, ["P1", uid(1, 1), ORDER.index(number) + 1, *box])))
    path = folder.parent / "boxes.csv"
    path.write_text("\n".join(lines))
    return path


WRITE = {
    "seg": as_seg,
    "seg, fractional": partial(as_seg, kind="FRACTIONAL"),
    "seg, labelmap": partial(as_seg, kind="LABELMAP"),
    "rtstruct": as_rtstruct,
    "sr": as_sr,
    "boxes": as_boxes,
}
READ = {
    "seg": roi.from_seg,
    "rtstruct": roi.from_rtstruct,
    "sr": roi.from_sr,
    "boxes": roi.from_boxes,
}


@pytest.fixture
def folder(tmp_path):
    return write_enhanced(tmp_path / "P1" / "ct.dcm", ORDER).parent


def naming(dataset):
    """Every item that names a frame."""
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            if "ReferencedFrameNumber" in item:
                yield item
            yield from naming(item)


@pytest.mark.parametrize("form", WRITE)
def test_boxes_are_on_the_frames_that_are_named(folder, form):
    found = READ[form.split(",")[0]](WRITE[form](folder), opened(folder))
    told = found[["sop_instance_uid", *roi.EDGES]].to_numpy().tolist()
    assert told == [[f"{uid(1, 1)}#4", *BOXES[1]], [f"{uid(1, 1)}#6", *BOXES[2]]]


@pytest.mark.parametrize("form", WRITE)
def test_it_was_drawn_on_the_series_that_holds_its_frames(tmp_path, folder, form):
    """Not on a phase kept in another file; which frames are missing is told with the boxes."""
    path, source = WRITE[form](folder), form.split(",")[0]

    def renamed(image):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(2, 1)

    phase = write_enhanced(tmp_path / "phase" / "P1" / "ct.dcm", ORDER, change=renamed).parent
    fewer = write_enhanced(tmp_path / "fewer" / "P1" / "ct.dcm", ORDER[:5]).parent
    drawn_on = [roi.drawn_on(opened(one), path, source) for one in (folder, phase, fewer)]
    assert drawn_on == [True, False, True]
    with pytest.raises(InputError, match=r"to which the ROI refers .1 of its 2 slices"):
        READ[source](path, opened(fewer))


def no_frame(item):
    del item.ReferencedFrameNumber


def two_frames(item):
    item.ReferencedFrameNumber = [4, 6]


def no_such_frame(item):
    item.ReferencedFrameNumber = 7


@pytest.mark.parametrize(
    ("change", "rule", "message"),
    [
        (no_frame, "several_slices", "refers to 6 slices at once.*name the frame .Referenced"),
        (two_frames, "several_slices", r"refers to 2 slices at once, such as .*\.1\.1#4 and"),
        (no_such_frame, "unresolved_reference", r"holds no slice .*\.1\.1#7, to which"),
    ],
)
@pytest.mark.parametrize("form", [form for form in WRITE if form != "boxes"])
def test_a_reference_that_leads_to_no_one_frame_is_refused(folder, form, change, rule, message):
    path = WRITE[form](folder)
    dataset = pydicom.dcmread(path)
    for item in naming(dataset):
        change(item)
    dataset.save_as(path)
    with pytest.raises(ImagingError, match=message) as refused:
        READ[form.split(",")[0]](path, opened(folder))
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("frame", "message"),
    [("", "refers to 6 slices at once"), ("7", "holds no slice .*#7, to which")],
)
def test_a_box_that_leads_to_no_one_frame_is_refused(folder, frame, message):
    path = as_boxes(folder)
    path.write_text(path.read_text().replace(f"{uid(1, 1)},4,", f"{uid(1, 1)},{frame},"))
    with pytest.raises(InputError, match=message):
        roi.from_boxes(path, opened(folder))


def test_a_file_of_one_frame_needs_no_number(tmp_path):
    """Each slice in an enhanced CT of its own: the image is named, and has no other frame."""
    for number in (0, 1, 2):

        def renamed(image, last=number + 1):
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(1, last)

        write_enhanced(tmp_path / "P1" / f"{number}.dcm", [number], change=renamed)
    path = tmp_path / "boxes.csv"
    path.write_text(f"patient_id,sop_instance_uid,{','.join(roi.EDGES)}\nP1,{uid(1, 2)},3,8,4,9\n")
    found = roi.from_boxes(path, opened(tmp_path / "P1"))
    assert found["sop_instance_uid"].tolist() == [f"{uid(1, 2)}#1"]


@pytest.mark.parametrize("form", ["seg", "rtstruct", "sr"])
def test_a_plain_slice_may_be_named_with_frame_one(tmp_path, form):
    folder = write_series(tmp_path / "P1")
    held = mask(**{f"s{number}": box for number, box in BOXES.items()})
    drawn = {"Lesion": [(number, rectangle(*box)) for number, box in BOXES.items()]}
    write = {
        "seg": lambda: write_seg(tmp_path / "roi.dcm", folder, {"Lesion": held}),
        "rtstruct": lambda: write_rtstruct(tmp_path / "roi.dcm", folder, drawn),
        "sr": lambda: report(folder, [("Lesion", *one) for one in BOXES.items()]),
    }
    dataset = pydicom.dcmread(path := write[form]())
    for element in list(dataset.iterall()):
        if element.keyword in ("SourceImageSequence", "ContourImageSequence"):
            element.value[0].ReferencedFrameNumber = 1
        if element.keyword == "ReferencedSOPSequence" and len(element.value) == 1:
            element.value[0].ReferencedFrameNumber = 1
    dataset.save_as(path)
    found = READ[form](path, opened(folder))
    assert found["sop_instance_uid"].tolist() == [uid(1, 2), uid(1, 3)]


@pytest.mark.real_data
def test_a_real_lesion_comes_out_of_a_real_enhanced_ct_as_before(hcc_tace_seg_root, tmp_path):
    """HCC_015: its twelve slices in lesion_boxes.csv and two beside them, made one by highdicom."""
    plain = series.folder(hcc_tace_seg_root / "dicom" / "HCC_015")
    classic = plain.open(next(iter(plain.series)))
    boxes = roi.from_boxes(hcc_tace_seg_root / "lesion_boxes.csv", classic)
    places = [classic.place(uid) for uid in boxes["sop_instance_uid"]]
    images = [
        pydicom.dcmread(header.path) for header in classic.slices[min(places) - 1 : max(places) + 2]
    ]
    held = np.zeros((len(images), 512, 512), bool)
    for place, box in zip(places, boxes.to_dict("records"), strict=True):
        rows, columns = (
            slice(box[f"{side}_min"], box[f"{side}_max"] + 1) for side in ("row", "column")
        )
        held[place - min(places) + 1, rows, columns] = True
    for image in images:
        image.PatientName = ""  # highdicom asks for carets, which the collection's names lack
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the slices lack
        enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(images, uid(5), 5, uid(5, 1), 1)
    folder = tmp_path / "HCC_015"
    folder.mkdir()
    enhanced.save_as(folder / "ct.dcm")
    number = {str(image.SOPInstanceUID): at for at, image in enumerate(images)}
    order = [
        number[str(groups.ConversionSourceAttributesSequence[0].ReferencedSOPInstanceUID)]
        for groups in enhanced.PerFrameFunctionalGroupsSequence
    ]
    path = write_seg(tmp_path / "roi.dcm", folder, {"Mass": held[order]})
    found = opened(folder)
    cut = slices.lesion_slices(found, roi.from_seg(path, found))
    before = slices.lesion_slices(classic, boxes)
    np.testing.assert_array_equal(cut.pixels_hu, before.pixels_hu)
    same = ["lesion", "slice_z_mm", *roi.EDGES]
    assert cut.table[same].to_numpy().tolist() == before.table[same].to_numpy().tolist()
