"""
Organs outlined beside the lesion: their Hounsfield units, known by position, tell the phase.

Pixels are 0.75 mm wide, so that 2 mm within an outline are three pixels. There an organ has its
value; in the three pixels at its margin, in the lesion and on the slices where it is small it has
others, and nothing of them may be seen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
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
from test_label_maps import slicer
from test_reports import report
from test_series import opened

from hcc_utils.imaging import landmarks, organs

HU = {"liver": 110, "portal_vein": 150, "aorta": 180}
OUTLINES = {
    "Liver": (0, 23, 0, 10),
    "Portal vein": (12, 21, 12, 19),
    "Abdominal aorta": (1, 8, 12, 18),
}
LESION = (9, 12, 4, 6)
AORTA = 3  # by number of its segment
LARGE, SMALL = (1, 2, 3), (0, 4)


def box(row_min, row_max, column_min, column_max, by=0):
    """A box as it is cut out of a slice, smaller by so many pixels on each side."""
    return np.s_[row_min + by : row_max + 1 - by, column_min + by : column_max + 1 - by]


def smaller(row_min, row_max, column_min, column_max):
    """Without its last three rows."""
    return row_min, row_max - 3, column_min, column_max


def paint(number, image):
    hu = np.full((ROWS, COLUMNS), 40, "<i2")
    if number in LARGE:
        for outline, value in zip(OUTLINES.values(), HU.values(), strict=True):
            hu[box(*outline, by=3)] = value
    if number == 2:
        hu[box(*LESION)] = -70
    store(image, hu)


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1", change=paint)


def drawn():
    """By name, the box on each slice where there is one."""
    boxes = {
        name: dict.fromkeys(LARGE, outline) | dict.fromkeys(SMALL, smaller(*outline))
        for name, outline in OUTLINES.items()
    }
    return boxes | {"Mass": {2: LESION}, "Spleen": {1: (22, 23, 12, 19)}}


def masks():
    held = {name: np.zeros((6, ROWS, COLUMNS), bool) for name in drawn()}
    for name, boxes in drawn().items():
        for number, outline in boxes.items():
            held[name][number][box(*outline)] = True
    return held


def labels():
    """The same as one map: the lesion is cut out of the liver."""
    numbered = np.zeros((6, ROWS, COLUMNS), np.uint8)
    for label, held in enumerate(masks().values(), start=1):
        numbered[held] = label
    return numbered


def as_seg(folder, kind="BINARY"):
    if kind == "LABELMAP":
        held = {name: labels() == n for n, name in enumerate(drawn(), start=1)}
    else:
        held = masks()
    return write_seg(folder.parent / "roi.dcm", folder, held, segmentation_type=kind)


def as_rtstruct(folder):
    rois = {
        name: [(n, rectangle(*outline)) for n, outline in boxes.items()]
        for name, boxes in drawn().items()
    }
    return write_rtstruct(folder.parent / "roi.dcm", folder, rois)


def as_sr(folder):
    regions = [
        (name, n, outline) for name, boxes in drawn().items() for n, outline in boxes.items()
    ]
    return report(folder, regions)


def as_slicers(folder):
    return slicer(folder, labels(), *((name, 0, n) for n, name in enumerate(drawn(), start=1)))


def as_itk_snaps(folder):
    lines = [f'{n} 0 0 0 1 1 1 "{name}"' for n, name in enumerate(drawn(), start=1)]
    (folder.parent / "roi.label").write_text("\n".join(lines))
    return write_label_map(folder.parent / "roi.nii.gz", label_map(labels()))


WRITE = {
    "seg": as_seg,
    "seg, labelmap": lambda folder: as_seg(folder, "LABELMAP"),
    "rtstruct": as_rtstruct,
    "sr": as_sr,
    "nifti, Slicer": as_slicers,
    "nifti, ITK-SNAP": as_itk_snaps,
}


@pytest.mark.parametrize("form", WRITE)
def test_each_organ_has_its_value(folder, form):
    """On the three slices on which it is largest, to the last digit."""
    table = organs.measured(WRITE[form](folder), form.split(",")[0], opened(folder))
    assert table["problem"].eq("").all()
    found = {
        tissue: sorted(own[["slice_z_mm", "hu", "sd_hu"]].to_numpy().tolist())
        for tissue, own in table.groupby("tissue", sort=False)
    }
    assert found == {what: [[2.5 * n, hu, 0] for n in LARGE] for what, hu in HU.items()}
    assert table["inside"].all()
    assert table["patient_id"].eq("P1").all()


def test_its_columns_are_those_of_landmarks(folder):
    """So that both can stand in one table."""
    table = organs.measured(as_seg(folder), "seg", opened(folder))
    pd.testing.assert_series_equal(table.dtypes, landmarks.table([]).dtypes)


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        *[(name, "liver") for name in ("LIVER", "liver", "Hepar", "Liver_1", "liver parenchyma")],
        *[(name, "portal_vein") for name in ("portal_vein", "Portal Vein", "vena portae")],
        ("portal_vein_and_splenic_vein", "portal_vein"),
        *[(name, "aorta") for name in ("Aorta", "abdominal_aorta", "Aorta abdominalis")],
    ],
)
def test_names_of_an_organ(folder, name, tissue):
    seg = write_seg(folder.parent / "roi.dcm", folder, {name: masks()["Liver"]})
    assert set(organs.measured(seg, "seg", opened(folder))["tissue"]) == {tissue}


@pytest.mark.parametrize("name", ["Liver cyst", "Pulmonary vein", "Thoracic aorta", "Delivered"])
def test_what_is_none_of_the_organs(folder, name):
    held = {name: masks()["Liver"], "Mass": masks()["Mass"]}
    seg = write_seg(folder.parent / "roi.dcm", folder, held)
    assert organs.measured(seg, "seg", opened(folder)).empty


def test_where_nothing_but_lesions_is_outlined_nothing_is_measured(folder, tmp_path):
    """An unnamed label is a lesion; a box has no name."""
    map_ = write_label_map(tmp_path / "roi.nii", label_map(labels()))
    for path, source in ((map_, "nifti"), (tmp_path / "boxes.csv", "boxes")):
        table = organs.measured(path, source, opened(folder))
        assert table.empty
        assert list(table.columns) == list(landmarks.table([]).columns)


def test_an_outline_that_does_not_fit_is_a_row_with_its_problem(folder):
    """One frame of the aorta names a slice that is not there."""
    path = as_seg(folder)
    dataset = pydicom.dcmread(path)
    frame = next(
        frame
        for frame in dataset.PerFrameFunctionalGroupsSequence
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == AORTA
    )
    source = frame.DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = uid(7, 7)
    dataset.save_as(path)
    table = organs.measured(path, "seg", opened(folder))
    assert table["tissue"].tolist() == list(HU)
    assert table["problem"].str.startswith("unresolved_reference: P1").all()
    assert table["hu"].isna().all()


def test_an_outline_without_inner_pixels_is_a_row_with_its_problem(folder):
    """Six pixels wide: none is three within."""
    thin = np.zeros((6, ROWS, COLUMNS), bool)
    thin[1, 5:11, 5:11] = True
    seg = write_seg(folder.parent / "roi.dcm", folder, {"Aorta": thin})
    table = organs.measured(seg, "seg", opened(folder))
    assert table["problem"].str.startswith("too_thin: P1").tolist() == [True]


def test_one_unreadable_slice_does_not_stop_the_others(folder):
    file = folder / "1-03.dcm"
    path = as_seg(folder)
    file.write_bytes(file.read_bytes()[:-100])
    table = organs.measured(path, "seg", opened(folder)).sort_values(["tissue", "slice_z_mm"])
    rules = [problem.partition(":")[0] for problem in table["problem"]]
    assert rules == ["", "unreadable_pixels", ""] * 3
