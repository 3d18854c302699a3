"""The demo's outlines: one mask in four forms leads to the same boxes, and to the same bytes."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import COLUMNS, PLANES, ROWS, write_series
from pydicom.uid import generate_uid
from test_series import opened

from hcc_utils.demo import boxes, outlines
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.imaging import roi

FORMS = {hospital.roi_source: hospital for hospital in HOSPITALS.values()}


def lesion():
    """A ring with an island in it and one beside it on slice 2; odd shapes on slices 1 and 3."""
    mask = np.zeros((6, ROWS, COLUMNS), bool)
    mask[2, 4:15, 3:13] = True
    mask[2, 6:12, 5:11] = False
    mask[2, 8, 7:9] = True
    mask[2, 17:19, 15:16] = True
    mask[1, 5, 5:9] = mask[1, 5:11, 8] = True
    mask[3] = np.random.default_rng(3).random((ROWS, COLUMNS)) < 0.03
    return mask


EXPECTED = [[5, 10, 5, 8], [4, 18, 3, 15]]
"""Slices 1 and 2 by hand: the corner of the hook, the ring and the island beside it."""


def uid(*what):
    return str(generate_uid(entropy_srcs=["a test", *map(str, what)]))


def written(folder, source, mask, into):
    """The outline of a mask in one form, at the place where it is read."""
    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    into.mkdir(parents=True)
    outlines.write(into, images, mask, FORMS[source], uid)
    if source == "boxes":
        boxes.join(into)
        return into / boxes.TABLE
    return roi.file_of(into, folder.name, source)


def read(path, source, series):
    read = {
        "boxes": roi.from_boxes,
        "seg": roi.from_seg,
        "rtstruct": roi.from_rtstruct,
        "nifti": roi.from_nifti,
    }
    return read[source](path, series)


def test_every_form_is_some_hospitals():
    """No hospital keeps structured reports: tests/test_reports.py writes its own."""
    assert set(FORMS) == set(roi.SOURCES) - {"sr"}


@pytest.mark.parametrize("source", FORMS)
def test_boxes_are_those_of_the_mask(tmp_path, source):
    """The RT structure set too, to the pixel: its contours run along pixel edges."""
    folder = write_series(tmp_path / "P1")
    found = read(written(folder, source, lesion(), tmp_path / "roi"), source, opened(folder))
    rows, columns = np.nonzero(lesion()[3])
    scattered = [rows.min(), rows.max(), columns.min(), columns.max()]
    assert found[list(roi.EDGES)].to_numpy().tolist() == [*EXPECTED, scattered]
    assert (found["lesion"] == 1).all()
    assert (found["roi_source"] == source).all()


@pytest.mark.parametrize("plane", PLANES)
def test_all_forms_agree_however_the_slices_lie(tmp_path, plane):
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    tables = []
    for source in FORMS:
        path = written(folder, source, lesion(), tmp_path / source)
        found = read(path, source, opened(folder)).drop(columns=["roi_source", "longest_mm"])
        tables.append(found.sort_values("sop_instance_uid", ignore_index=True))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


@pytest.mark.parametrize("source", FORMS)
def test_equal_arguments_give_equal_bytes(tmp_path, source):
    folder = write_series(tmp_path / "P1")
    first, second = (
        written(folder, source, lesion(), tmp_path / name).read_bytes() for name in "ab"
    )
    assert first == second


def test_no_time_stands_in_the_compressed_label_map(tmp_path):
    """Bytes 4 to 7 of gzip hold the time of compression (RFC 1952): none."""
    folder = write_series(tmp_path / "P1")
    path = written(folder, "nifti", lesion(), tmp_path / "roi")
    assert path.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert len(gzip.decompress(path.read_bytes())) == 352 + 6 * ROWS * COLUMNS


def test_label_map_is_the_mask(tmp_path):
    folder = write_series(tmp_path / "P1")
    path = written(folder, "nifti", lesion(), tmp_path / "roi")
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), lesion())
    assert image.GetOrigin() == pytest.approx((-10, -12, 0))
    assert image.GetSpacing() == pytest.approx((0.75, 0.75, 2.5))


def test_structure_set_names_its_images_and_frame(tmp_path):
    folder = write_series(tmp_path / "P1")
    dataset = pydicom.dcmread(written(folder, "rtstruct", lesion(), tmp_path / "roi"))
    image = pydicom.dcmread(folder / "1-01.dcm")
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert frame.FrameOfReferenceUID == dataset.FrameOfReferenceUID == image.FrameOfReferenceUID
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert len(series.ContourImageSequence) == 6
    assert dataset.StudyInstanceUID == image.StudyInstanceUID
    assert dataset.SeriesInstanceUID != image.SeriesInstanceUID
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        assert contour.ContourGeometricType == "CLOSED_PLANAR"
        assert len(contour.ContourData) == 3 * contour.NumberOfContourPoints


def test_boxes_of_all_patients_are_joined(tmp_path):
    """Sorted by patient, each one's slices as they were written; no patient's file stays."""
    for name, slices in (("E2", "ba"), ("E1", "c")):
        rows = pd.DataFrame({"patient_id": name, "sop_instance_uid": list(slices), "row_min": 1})
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    boxes.join(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [boxes.TABLE]
    lines = (tmp_path / boxes.TABLE).read_text().splitlines()
    assert lines[1:] == ["E1,c,1", "E2,b,1", "E2,a,1"]


def test_joining_once_more_keeps_everyone_once(tmp_path):
    """As after an interruption: one patient's file beside the table, one patient new."""
    for name in ("E1", "E2"):
        (tmp_path / f"{name}.csv").write_text(f"patient_id,row_min\n{name},1\n")
    boxes.join(tmp_path)
    for name in ("E2", "E0"):
        (tmp_path / f"{name}.csv").write_text(f"patient_id,row_min\n{name},1\n")
    boxes.join(tmp_path)
    assert (tmp_path / boxes.TABLE).read_text() == "patient_id,row_min\nE0,1\nE1,1\nE2,1\n"
