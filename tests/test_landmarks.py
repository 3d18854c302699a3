"""Hounsfield units at named places: the mean of the patch, what it should be, and what was wrong.

Slice s, row r, column c of `dicom_files.truth_hu` hold 500 s + 20 r + c - 1000 HU, so the mean of
9 x 9 pixels around (r, c) is the value of their middle. Slices lie 2.5 mm apart, from 0 mm on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_study
from dicom_files import ct_slice, store, truth_hu, write_series

from hcc_utils import checks
from hcc_utils.imaging import landmarks
from hcc_utils.orchestration import run
from hcc_utils.study.manifest import Manifest

HEADER = "patient_id,tissue,slice_z_mm,row,column"


def study_of(folder, lines, **more):
    """Hospital a with these landmarks."""
    entry = small_study.centre("a", "development", landmarks="a/landmarks.csv", **more)
    study = small_study.read(folder, centres={"a": {"dicom": "a/dicom"} | entry})
    (folder / "a" / "landmarks.csv").write_text("\n".join([HEADER, *lines]), "utf-8")
    return study


def measured(folder, lines, *ids, **more):
    patients = pd.DataFrame({"patient_id": ids or ["a1"], "centre": "a"})
    return landmarks.measured(study_of(folder, lines, **more), patients)


def only_problem(table):
    assert len(table) == 1
    assert table[["hu", "sd_hu", "inside", "rescale_intercept"]].isna().all(axis=None)
    return table["problem"].item()


def test_the_mean_of_81_pixels_beside_what_it_should_be(tmp_path):
    """Slice 1, row 10, column 8: 500 + 200 + 8 - 1000 = -292 HU; fat is from -150 to -50.

    The rows' values are 20 apart, the columns' 1: variance 400 x 60 / 9 + 60 / 9 = 2673.3.
    """
    write_series(tmp_path / "a" / "dicom" / "a1")
    row = measured(tmp_path, ["a1,fat,2.5,10,8"]).iloc[0]
    assert row["hu"] == pytest.approx(-292)
    assert row["sd_hu"] == pytest.approx(np.sqrt(2673.3), abs=0.01)
    assert row[["patient_id", "tissue", "slice_z_mm"]].tolist() == ["a1", "fat", 2.5]
    assert row[["low_hu", "high_hu", "inside"]].tolist() == [-150, -50, False]
    assert row[["rescale_intercept", "problem"]].tolist() == [0, ""]


def test_both_intercepts_come_out_alike(tmp_path):
    """Stored values are HU, or HU + 1024 with the intercept -1024."""

    def moved(number, image):
        image.RescaleIntercept = -1024
        store(image, (truth_hu(number).clip(-1024) + 1024).astype("<u2"))

    write_series(tmp_path / "a" / "dicom" / "a1")
    write_series(tmp_path / "a" / "dicom" / "a2", change=moved)
    lines = ["a1,liver,5,6,10", "a2,liver,5,6,10"]
    table = measured(tmp_path, lines, "a1", "a2")
    assert table["rescale_intercept"].tolist() == [0, -1024]
    assert table["hu"].tolist() == [130, 130]
    assert table["inside"].tolist() == [True, True]


@pytest.mark.parametrize(("z_mm", "hu"), [("3.7", -292), ("3.8", 208), ("-1.2", -792)])
def test_the_nearest_slice_counts(tmp_path, z_mm, hu):
    """3.7 mm is nearer to 2.5, 3.8 to 5; -1.2 is within half a spacing of the first."""
    write_series(tmp_path / "a" / "dicom" / "a1")
    assert measured(tmp_path, [f"a1,fat,{z_mm},10,8"])["hu"].item() == pytest.approx(hu)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("a1,fat,-1.5,10,8", "no_such_slice: a1 has no slice within 1.25", id="below"),
        pytest.param("a1,fat,3.75,10,8", "several_slices: a1 has 2 slices equally", id="between"),
        pytest.param("a1,fat,5,3,8", "beyond_image: 3, 8 is too near the edge of 24", id="edge"),
        pytest.param("a1,fat,5,10,16", "beyond_image: 10, 16 is too near", id="other edge"),
        pytest.param("a2,fat,5,10,8", "no_folder: a2 has no folder", id="no images"),
        pytest.param("a9,fat,5,10,8", "not_in_cohort: a9 is not among", id="left out"),
    ],
)
def test_what_cannot_be_measured_is_a_row_with_its_problem(tmp_path, line, problem):
    write_series(tmp_path / "a" / "dicom" / "a1")
    assert only_problem(measured(tmp_path, [line], "a1", "a2")).startswith(problem)


def test_a_slice_is_found_up_to_four_pixels_from_the_edge(tmp_path):
    write_series(tmp_path / "a" / "dicom" / "a1")
    table = measured(tmp_path, ["a1,fat,5,4,4", "a1,fat,5,19,15"])
    assert table["problem"].tolist() == ["", ""]


def test_one_bad_landmark_does_not_stop_the_others(tmp_path):
    """a1's second slice is cut, a2 has two series, a3 is sound."""
    folder = write_series(tmp_path / "a" / "dicom" / "a1")
    (folder / "1-02.dcm").write_bytes((folder / "1-02.dcm").read_bytes()[:-100])
    for number in (1, 2):
        write_series(tmp_path / "a" / "dicom" / "a2", series=number)
    write_series(tmp_path / "a" / "dicom" / "a3")
    lines = [f"{name},fat,2.5,10,8" for name in ("a1", "a2", "a3")]
    table = measured(tmp_path, [*lines, "a1,fat,5,10,8"], "a1", "a2", "a3")
    assert table["patient_id"].tolist() == ["a1", "a1", "a2", "a3"]
    rules = [problem.split(":")[0] for problem in table["problem"]]
    assert rules == ["unreadable_pixels", "", "several_series", ""]


def test_the_series_of_the_manifest_is_measured(tmp_path):
    """The other phase is 100 HU brighter."""

    def brighter(number, image):
        store(image, (truth_hu(number) + 100).astype("<i2"))

    write_series(tmp_path / "a" / "dicom" / "a1")
    folder = write_series(tmp_path / "a" / "dicom" / "a1", series=2, change=brighter)
    chosen = {"a1": str(ct_slice(0, 0, patient_id="a1", series=2).SeriesInstanceUID)}
    assert len(list(folder.iterdir())) == 12
    table = measured(tmp_path, ["a1,fat,2.5,10,8"], series=chosen)
    assert table["hu"].item() == pytest.approx(-192)


def test_a_centre_without_landmarks_gives_no_row(tmp_path):
    study = small_study.read(tmp_path)
    table = landmarks.measured(study, pd.DataFrame({"patient_id": ["a1"], "centre": "a"}))
    assert table.empty
    assert list(table.columns) == [
        *("patient_id", "tissue", "slice_z_mm", "hu", "sd_hu", "low_hu", "high_hu", "inside"),
        *("rescale_intercept", "problem"),
    ]


def test_a_table_that_is_wrong_is_refused_with_all_its_lines(tmp_path):
    lines = ["a1,air,0,4,4", ",fat,0,4,4", "a1,lver,zero,4,4", "a1,fat,0,-1,4.5", "a1,fat,0,4"]
    with pytest.raises(checks.Problems) as caught:
        landmarks.read(study_of(tmp_path, lines), "a")
    where = [line.split(";")[0] for line in caught.value.lines]
    assert where == [
        "a/landmarks.csv:3: patient_id: must not be empty.",
        f"a/landmarks.csv:4: tissue: must be one of {', '.join(landmarks.EXPECTED_HU)}",
        "a/landmarks.csv:4: slice_z_mm: must be a number, in mm",
        "a/landmarks.csv:5: row: must be a whole number from 0",
        "a/landmarks.csv:5: column: must be a whole number from 0",
        "a/landmarks.csv:6: column: must be a whole number from 0",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"patient,tissue\n", "landmarks.csv:1: must have the columns", id="columns"),
        pytest.param(b"", "patient_id, tissue, slice_z_mm, row, column is missing", id="empty"),
        pytest.param(HEADER.encode("utf-16"), "must be CSV in UTF-8", id="utf-16"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path, content, message):
    study = study_of(tmp_path, [])
    (tmp_path / "a" / "landmarks.csv").write_bytes(content)
    with pytest.raises(checks.Problems, match=message):
        landmarks.read(study, "a")


def test_landmarks_need_images(tmp_path):
    study = study_of(tmp_path, ["a1,air,0,4,4"], dicom=None)
    patients = pd.DataFrame({"patient_id": ["a1"], "centre": "a"})
    with pytest.raises(checks.InputError, match="a names landmarks and no dicom folder"):
        landmarks.measured(study, patients)


def test_a_changed_table_is_seen_by_the_next_run(tmp_path):
    study = study_of(tmp_path, ["a1,air,0,4,4"])
    write_series(tmp_path / "a" / "dicom" / "a1")
    seen = []
    for lines in (["a1,air,0,4,4"], ["a1,air,0,4,40"]):
        study_of(tmp_path, lines)
        kept = run._data_files(study, "a", tmp_path / "results")[2]
        seen.append(Path(kept).read_text("utf-8"))
    assert seen[0] != seen[1]


def test_every_range_has_a_source_and_lies_in_order():
    for tissue, expected in landmarks.EXPECTED_HU.items():
        assert expected.low_hu < expected.high_hu, tissue
        assert expected.source


def test_a_manifest_may_name_landmarks(tmp_path):
    study = study_of(tmp_path, ["a1,air,-7.5,4,5"])
    assert isinstance(study, Manifest)
    assert landmarks.read(study, "a").to_numpy().tolist() == [["a1", "air", -7.5, 4, 5]]
