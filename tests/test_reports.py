"""Structured reports: boxes where the regions lie; what does not fit the series is refused."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_files import CT, PLANES, rectangle, rows, uid, write_series
from pydicom.sr.codedict import codes
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi

BOXES = [
    ("Lesion 1", 1, (3, 8, 4, 9)),
    ("Lesion 1", 2, (2, 10, 4, 12)),
    ("Liver", 2, (0, 20, 0, 9)),
]
EXPECTED = [[uid(1, 2), 1, 3, 8, 4, 9, "sr"], [uid(1, 3), 1, 2, 10, 4, 12, "sr"]]


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1")


def image_of(images, on):
    return hd.sr.SourceImageForRegion(CT, images[on].SOPInstanceUID)


def report(folder, boxes, kind="POLYLINE", source_of=image_of):
    """By highdicom; corners along pixel edges, the first pixel's at (0, 0)."""
    images = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    groups = []
    for name, on, box in boxes:
        corners = [(column + 0.5, row + 0.5) for row, column in rectangle(*box)]
        source = source_of(images, on)
        line = np.array([*corners, corners[0]] if kind == "POLYLINE" else corners[:2])
        groups.append(
            hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                hd.sr.TrackingIdentifier(uid(700), name),
                referenced_region=hd.sr.ImageRegion(kind, line, source),
            )
        )
    person = hd.sr.ObserverContext(
        codes.DCM.Person, hd.sr.PersonObserverIdentifyingAttributes("Reader^One")
    )
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_person_context=person),
        codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    written = hd.sr.ComprehensiveSR(
        images, content[0], uid(701), 1, uid(701, 1), 1, manufacturer="none"
    )
    path = folder.parent / "roi.dcm"
    written.save_as(path)
    return path


@pytest.mark.parametrize("plane", PLANES)
def test_boxes_are_where_the_regions_are(tmp_path, plane):
    """However the slices lie; the liver is left out."""
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    found = roi.from_sr(report(folder, BOXES), opened(folder))
    assert rows(found) == EXPECTED[:: -1 if plane == "descending" else 1]


def test_a_region_of_another_series_is_refused(tmp_path, folder):
    other = write_series(tmp_path / "other", series=2)
    path = report(other, BOXES)
    assert not roi.drawn_on(opened(folder), path, "sr")
    with pytest.raises(InputError, match="Give the series on which the ROI was drawn"):
        roi.from_sr(path, opened(folder))


@pytest.mark.parametrize(
    ("boxes", "kind", "message"),
    [
        (BOXES[2:], "POLYLINE", "no tracking identifier named lesion"),
        (BOXES[:1], "CIRCLE", "no closed line .GraphicType: CIRCLE"),
        ([("HCC", 1, (3, 24, 4, 9))], "POLYLINE", "reaches beyond the slice"),
    ],
)
def test_a_report_that_does_not_fit_is_refused(folder, boxes, kind, message):
    with pytest.raises(InputError, match=message):
        roi.from_sr(report(folder, boxes, kind), opened(folder))


def test_a_ct_is_no_report(folder):
    with pytest.raises(InputError, match=r"not a structured report .Modality: CT"):
        roi.from_sr(folder / "1-01.dcm", opened(folder))
