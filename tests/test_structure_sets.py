"""RT structure sets: boxes of contours whose place is known; what does not fit is refused."""

from __future__ import annotations

import pydicom
import pytest
from dicom_files import PLANES, rectangle, rows, uid, write_rtstruct, write_series
from pydicom.dataset import Dataset
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi

LESION = [(1, rectangle(3, 8, 4, 9)), (2, rectangle(2, 10, 4, 12))]
EXPECTED = [[uid(1, 2), 1, 3, 8, 4, 9, "rtstruct"], [uid(1, 3), 1, 2, 10, 4, 12, "rtstruct"]]


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1")


def boxes(tmp_path, folder, rois, change=lambda dataset: None):
    """What is read of a structure set after a change."""
    path = write_rtstruct(tmp_path / "roi.dcm", folder, rois)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return roi.from_rtstruct(path, opened(folder))


@pytest.mark.parametrize("plane", PLANES)
def test_boxes_are_where_the_contours_are(tmp_path, plane):
    """However the slices lie: two spacings that differ, or axes that differ, must not swap."""
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    found = boxes(tmp_path, folder, {"Lesion": LESION})
    order = -1 if plane == "descending" else 1
    assert list(found.columns) == list(roi.COLUMNS)
    assert rows(found) == EXPECTED[::order]


def test_a_contour_of_many_corners(tmp_path, folder):
    """Rows 2 to 8 and columns 3 to 11 hold the centres in a rhomb about (5, 7), 3.4 x 4.4 wide."""
    rhomb = [(1.6, 7.0), (5.0, 11.4), (8.4, 7.0), (5.0, 2.6)]
    found = boxes(tmp_path, folder, {"HCC 1": [(0, rhomb)]})
    assert found[list(roi.EDGES)].to_numpy().tolist() == [[2, 8, 3, 11]]


def test_holes_and_islands(tmp_path, folder):
    """A hole leaves the box as it is, an island beside the lesion widens it."""
    hole, island = rectangle(4, 7, 5, 8), rectangle(12, 13, 15, 16)
    found = boxes(tmp_path, folder, {"Lesion": [LESION[0], (1, hole), (1, island)]})
    assert found[list(roi.EDGES)].to_numpy().tolist() == [[3, 13, 4, 16]]


def as_xor(dataset):
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "CLOSEDPLANAR_XOR"


def test_contours_may_be_declared_xor(tmp_path, folder):
    found = boxes(tmp_path, folder, {"Lesion": LESION}, as_xor)
    assert rows(found) == EXPECTED


def test_lesions_are_told_by_name_and_numbered_by_roi(tmp_path, folder):
    liver = [(1, rectangle(0, 20, 0, 18))]
    rois = {"lesion_1": LESION[1:], "Liver": liver, "lesion_2": LESION[:1], "tumor bed": liver}
    found = boxes(tmp_path, folder, rois)
    assert found[["sop_instance_uid", "lesion"]].to_numpy().tolist() == [
        [uid(1, 3), 1],
        [uid(1, 2), 2],
    ]


def test_order_is_along_the_normal(tmp_path, folder):
    assert rows(boxes(tmp_path, folder, {"Lesion": LESION[::-1]})) == EXPECTED


def contours(dataset):
    return dataset.ROIContourSequence[0].ContourSequence


def nameless(dataset, off_mm=0.0):
    """Contours that name no image, and lie so far above their slices."""
    for contour in contours(dataset):
        del contour.ContourImageSequence
        data = [float(v) for v in contour.ContourData]
        data[2::3] = [z + off_mm for z in data[2::3]]
        contour.ContourData = data


@pytest.mark.parametrize("off_mm", [-0.09, 0, 0.09])
def test_contours_that_name_no_image_are_placed_by_position(tmp_path, folder, off_mm):
    """And their boxes say so."""
    found = boxes(tmp_path, folder, {"Lesion": LESION}, lambda d: nameless(d, off_mm))
    assert rows(found.drop(columns="roi_source")) == [row[:-1] for row in EXPECTED]
    assert set(found["roi_source"]) == {"rtstruct_by_position"}


def test_a_position_between_slices_is_refused(tmp_path, folder):
    message = r"0 slices lie within 0\.1 mm of it: it is at 2\.70 mm.*nearest slice at 2\.50 mm"
    with pytest.raises(InputError, match=message):
        boxes(tmp_path, folder, {"Lesion": LESION}, lambda d: nameless(d, 0.2))


def test_a_position_of_two_slices_is_refused(tmp_path):
    """Two acquisitions in one series: the third and the fourth file lie at 2.5 mm."""
    folder = write_series(tmp_path / "P1", z_mm=(0, 5, 2.5, 2.5, 7.5, 10))
    with pytest.raises(InputError, match="2 slices lie within"):
        boxes(tmp_path, folder, {"Lesion": [(2, LESION[0][1])]}, nameless)


def of_series(dataset, series, images=()):
    """The structure set names a series as a whole."""
    one, study, frame = Dataset(), Dataset(), Dataset()
    one.SeriesInstanceUID = series
    one.ContourImageSequence = [Dataset() for _ in images]
    for item, image in zip(one.ContourImageSequence, images, strict=True):
        item.ReferencedSOPInstanceUID = image
    study.RTReferencedSeriesSequence = [one]
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]


def test_position_alone_does_not_lead_into_another_series(tmp_path, folder):
    """Phases of one examination share their positions and their frame of reference."""

    def of_another(dataset):
        nameless(dataset)
        of_series(dataset, uid(2))

    with pytest.raises(InputError, match=rf"was drawn on the series {uid(2)}, not on {uid(1)}"):
        boxes(tmp_path, folder, {"Lesion": LESION}, of_another)


def test_a_missing_slice_matters_where_the_lesion_is(tmp_path):
    folder = write_series(tmp_path / "P1")
    path = write_rtstruct(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    (folder / "1-05.dcm").unlink()
    assert rows(roi.from_rtstruct(path, opened(folder))) == EXPECTED
    (folder / "1-03.dcm").unlink()
    (folder / "1-02.dcm").unlink()
    with pytest.raises(
        InputError, match=rf"holds no slice {uid(1, 2)}, .* \(2 of its 2 slices are"
    ):
        roi.from_rtstruct(path, opened(folder))


def refer_elsewhere(dataset):
    contours(dataset)[0].ContourImageSequence[0].ReferencedSOPInstanceUID = uid(7, 7)


def refer_twice(dataset):
    contours(dataset)[0].ContourImageSequence.append(contours(dataset)[1].ContourImageSequence[0])


def refer_to_the_neighbour(dataset):
    contours(dataset)[0].ContourImageSequence = contours(dataset)[1].ContourImageSequence


def tilt(dataset):
    data = [float(v) for v in contours(dataset)[0].ContourData]
    contours(dataset)[0].ContourData = [*data[:2], data[2] + 0.3, *data[3:]]


def push_out(dataset):
    data = [float(v) for v in contours(dataset)[0].ContourData]
    contours(dataset)[0].ContourData = [data[0] - 6 * 0.75, *data[1:]]


def other_frame(dataset):
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = uid(7)


def set_first(**values):
    def change(dataset):
        for name, value in values.items():
            setattr(contours(dataset)[0], name, value)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(refer_elsewhere, r"holds no slice .*\.7\.7, to which", id="other image"),
        pytest.param(refer_twice, "refers to 2 slices at once, such as", id="two images"),
        pytest.param(refer_to_the_neighbour, r"leaves its plane by 2\.50 mm", id="neighbour"),
        pytest.param(tilt, r"leaves its plane by 0\.30 mm", id="not planar"),
        pytest.param(push_out, "1 of 4 points are beyond its edge", id="beyond the edge"),
        pytest.param(other_frame, rf"is {uid(7)}, that of the slice", id="frame of reference"),
        pytest.param(
            set_first(ContourGeometricType="OPEN_PLANAR"),
            "not closed and planar .ContourGeometricType: OPEN_PLANAR; 12 coordinates",
            id="open",
        ),
        pytest.param(
            set_first(ContourData=[0, 0, 2.5, 1, 1, 2.5, 3]), "7 coordinates", id="cut coordinates"
        ),
        pytest.param(set_first(ContourData=None), "0 coordinates", id="no coordinates"),
        pytest.param(
            lambda d: setattr(d.StructureSetROISequence[0], "ROIName", "GTV"),
            "no ROI named lesion.*it has GTV. Rename the lesion's ROI",
            id="no lesion",
        ),
        pytest.param(
            lambda d: setattr(d, "ROIContourSequence", []), "marks no pixel", id="no contours"
        ),
        pytest.param(
            lambda d: setattr(d.StructureSetROISequence[0], "ROINumber", 9),
            "an outline names number 1, which is not there; Lesion has no outline",
            id="contours of an ROI that is not described",
        ),
        pytest.param(
            lambda d: d.ROIContourSequence.append(d.ROIContourSequence[0]),
            r"several sets of contours name ROI number 1 \(ReferencedROINumber\)",
            id="two sets of contours for one ROI",
        ),
        pytest.param(
            lambda d: setattr(d.StructureSetROISequence[0], "ROIName", ""),
            r"has 1 ROI\(s\) without a name",
            id="no name",
        ),
        pytest.param(
            lambda d: setattr(d, "SOPClassUID", "1.2"), "is not an RT structure set", id="class"
        ),
    ],
)
def test_a_structure_set_that_does_not_fit_is_refused(tmp_path, folder, change, message):
    with pytest.raises(InputError, match=message):
        boxes(tmp_path, folder, {"Lesion": LESION}, change)


def test_a_slice_without_spacing_is_named(tmp_path, folder):
    path = write_rtstruct(tmp_path / "roi.dcm", folder, {"Lesion": LESION})

    def without_spacing(number, image):
        del image.PixelSpacing

    write_series(folder, change=without_spacing)
    with pytest.raises(
        InputError, match=r"1-02\.dcm lacks ImageOrientationPatient or PixelSpacing"
    ):
        roi.from_rtstruct(path, opened(folder))


def test_what_it_refers_to(tmp_path, folder):
    """Its contours' slices or, where they name none, the series that it names as a whole."""
    other = opened(write_series(tmp_path / "other", series=2))
    path = write_rtstruct(tmp_path / "roi.dcm", folder, {"Lesion": LESION})
    assert roi.drawn_on(opened(folder), path, "rtstruct")
    assert not roi.drawn_on(other, path, "rtstruct")
    dataset = pydicom.dcmread(path)
    nameless(dataset)
    of_series(dataset, uid(2), [uid(2, 1), uid(2, 2)])
    dataset.save_as(path)
    assert roi.drawn_on(other, path, "rtstruct")
    assert not roi.drawn_on(opened(folder), path, "rtstruct")
    of_series(dataset, uid(2))
    dataset.save_as(path)
    assert roi.drawn_on(other, path, "rtstruct")
    assert not roi.drawn_on(opened(folder), path, "rtstruct")
