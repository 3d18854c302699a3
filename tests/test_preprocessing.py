"""A centre's patients: everybody's slices or everybody's problem, in the order asked for."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import mask, truth_hu, uid, write_seg, write_series

from hcc_utils.checks import InputError
from hcc_utils.imaging import preprocessing, series, slices

BOX = {"Lesion": mask(s2=(3, 8, 4, 9), s3=(4, 9, 5, 10))}


@pytest.fixture
def centre(tmp_path):
    """Three patients whose SEGs mark two slices each."""
    for patient_id in ("P1", "P2", "P3"):
        folder = write_series(tmp_path / "dicom" / patient_id)
        write_seg(tmp_path / "roi" / f"{patient_id}.dcm", folder, BOX)
    return tmp_path


def prepared(centre, *patient_ids, source="seg", path="roi", chosen=None, workers=1):
    return preprocessing.cohort_slices(
        patient_ids,
        centre / "dicom",
        source,
        centre / path,
        chosen_series=chosen or {},
        margin_pixels=0,
        size=6,
        workers=workers,
    )


def only_problem(cohort):
    assert len(cohort.problems) == 1
    return cohort.problems.iloc[0]


def test_everybody_comes_in_the_order_asked_for(centre):
    cohort = prepared(centre, "P3", "P1", "P2")
    assert list(cohort.table.columns) == list(slices.COLUMNS)
    assert cohort.table["patient_id"].tolist() == ["P3", "P3", "P1", "P1", "P2", "P2"]
    expected = [truth_hu(2)[3:9, 4:10], truth_hu(3)[4:10, 5:11]] * 3
    np.testing.assert_array_equal(cohort.pixels_hu, expected)
    assert cohort.pixels_hu.dtype == np.int16
    assert cohort.inventory["patient_id"].tolist() == ["P3", "P1", "P2"]
    assert cohort.problems.empty


def test_two_processes_give_the_same(centre):
    one, two = (prepared(centre, "P1", "P2", "P3", workers=n) for n in (1, 2))
    assert one.table.equals(two.table)
    assert one.inventory.equals(two.inventory)
    np.testing.assert_array_equal(one.pixels_hu, two.pixels_hu)


def test_one_bad_patient_does_not_stop_the_others(centre):
    """P2's third file is cut; there is no folder for P4."""
    file = centre / "dicom" / "P2" / "1-03.dcm"
    file.write_bytes(file.read_bytes()[:-100])
    cohort = prepared(centre, "P1", "P2", "P4", "P3")
    assert cohort.table["patient_id"].unique().tolist() == ["P1", "P3"]
    assert cohort.problems[["patient_id", "rule"]].to_numpy().tolist() == [
        ["P2", "unreadable_pixels"],
        ["P4", "no_folder"],
    ]
    assert cohort.problems["file"][0] == str(file)


def test_several_series_need_a_line_in_the_manifest(centre):
    """The message holds the line; given that line, the patient is prepared."""
    write_series(centre / "dicom" / "P1", series=2)
    problem = only_problem(prepared(centre, "P1"))
    assert problem["rule"] == "several_series"
    assert f'series: {{P1: "{uid(1)}"}} (the ROI was drawn on it)' in problem["message"]
    assert len(prepared(centre, "P1", chosen={"P1": uid(1)}).table) == 2


def test_a_refused_series_beside_the_usable_one_does_no_harm(centre):
    """A scout and the segmentation itself lie in the patient's folder, as in many exports."""

    def scout(number, image):
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    folder = write_series(centre / "dicom" / "P1", series=2, z_mm=[0], change=scout)
    (folder / "seg.dcm").write_bytes((centre / "roi" / "P1.dcm").read_bytes())
    cohort = prepared(centre, "P1")
    assert len(cohort.table) == 2
    assert sorted(cohort.inventory["rules"]) == ["", "localizer", "not_ct multi_frame"]


def test_the_rule_of_the_only_series_is_the_problem(centre):
    def without_position(number, image):
        del image.ImagePositionPatient

    write_series(centre / "dicom" / "P1", change=without_position)
    assert only_problem(prepared(centre, "P1"))["rule"] == "no_position"


def test_what_is_missing_is_named(centre):
    (centre / "roi" / "P1.dcm").unlink()
    (centre / "dicom" / "P5").mkdir()
    cohort = prepared(centre, "P1", "P5", "P2", chosen={"P2": "9.9"})
    assert cohort.problems[["patient_id", "rule"]].to_numpy().tolist() == [
        ["P1", "no_roi"],
        ["P5", "no_usable_series"],
        ["P2", "series_not_found"],
    ]
    assert cohort.pixels_hu.shape == (0, 6, 6)
    assert cohort.pixels_hu.dtype == np.int16


def test_boxes_serve_as_well(centre):
    lines = ["patient_id,sop_instance_uid,row_min,row_max,column_min,column_max"]
    lines += [f"P1,{uid(1, 3)},3,8,4,9", f"P2,{uid(1, 4)},4,9,5,30"]
    (centre / "boxes.csv").write_text("\n".join(lines))
    cohort = prepared(centre, "P1", "P2", source="boxes", path="boxes.csv")
    np.testing.assert_array_equal(cohort.pixels_hu, [truth_hu(2)[3:9, 4:10]])
    assert only_problem(cohort)["rule"] == "box_outside_image"


def test_a_table_without_its_columns_is_everybodys_problem(centre):
    (centre / "boxes.csv").write_text("patient,row_min\n")
    cohort = prepared(centre, "P1", "P2", source="boxes", path="boxes.csv")
    assert cohort.problems["rule"].tolist() == ["wrong_input"] * 2


def test_every_warning_stands_in_the_inventory(centre):
    write_series(centre / "dicom" / "P1", patient_id="Patient_01")
    cohort = prepared(centre, "P1")
    assert cohort.problems.empty
    assert cohort.inventory[["status", "rules"]].to_numpy().tolist() == [
        ["warn", "patient_id_mismatch"]
    ]
    assert list(cohort.inventory.columns) == list(series.COLUMNS)


def test_a_wrong_manifest_stops_before_anything_is_read(centre):
    with pytest.raises(InputError, match="roi_source must be one of seg, rtstruct, nifti, boxes"):
        prepared(centre, "P1", source="sge")
    with pytest.raises(InputError, match="is not a folder; correct the manifest"):
        preprocessing.cohort_slices(
            ["P1"], centre / "nowhere", "seg", centre / "roi", chosen_series={}
        )
