"""A centre's patients: everybody's slices or everybody's problem, in the order asked for."""

from __future__ import annotations

import shutil
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import small_study
from dicom_files import (
    cohort_slices,
    label_map,
    mask,
    rectangle,
    truth_hu,
    uid,
    write_label_map,
    write_rtstruct,
    write_seg,
    write_series,
)

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi, series, slices, study_slices
from hcc_utils.study.manifest import Roi, SeriesRule

BOX = {"Lesion": mask(s2=(3, 8, 4, 9), s3=(4, 9, 5, 10))}


@pytest.fixture
def centre(tmp_path):
    """Three patients whose SEGs mark two slices each."""
    for patient_id in ("P1", "P2", "P3"):
        folder = write_series(tmp_path / "dicom" / patient_id)
        write_seg(tmp_path / "roi" / f"{patient_id}.dcm", folder, BOX)
    return tmp_path


def prepared(centre, *patient_ids, source="seg", path="roi", chosen=None, rule=None, workers=1):
    return cohort_slices(
        patient_ids,
        centre / "dicom",
        source,
        centre / path,
        chosen_series=chosen or {},
        series_rule=rule,
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


def test_structure_sets_and_label_maps_serve_as_well(centre):
    """The same marks in each form give the same slices."""
    expected = prepared(centre, "P1")
    outlines = [(2, rectangle(3, 8, 4, 9)), (3, rectangle(4, 9, 5, 10))]
    write_rtstruct(centre / "rt" / "P1.dcm", centre / "dicom" / "P1", {"Lesion": outlines})
    write_label_map(centre / "maps" / "P1.nii.gz", label_map(BOX["Lesion"].astype(np.uint8)))
    for source, path in (("rtstruct", "rt"), ("nifti", "maps")):
        cohort = prepared(centre, "P1", source=source, path=path)
        assert cohort.problems.empty
        np.testing.assert_array_equal(cohort.pixels_hu, expected.pixels_hu)
        assert set(cohort.table["roi_source"]) == {source}
        ours, theirs = (c.table[list(roi.EDGES)] for c in (cohort, expected))
        assert ours.equals(theirs)


def test_the_form_of_a_label_map_is_found_and_two_are_a_problem(centre):
    image = label_map(BOX["Lesion"].astype(np.uint8))
    write_label_map(centre / "maps" / "P1.nrrd", image)
    assert len(prepared(centre, "P1", source="nifti", path="maps").table) == 2
    write_label_map(centre / "maps" / "P1.nii.gz", image)
    problem = only_problem(prepared(centre, "P1", source="nifti", path="maps"))
    assert problem["rule"] == "several_rois"
    assert "P1.nii.gz and P1.nrrd. Keep the one that counts" in problem["message"]


def test_a_label_map_tells_its_series_only_where_grids_differ(centre):
    """Beside the CT lies one of other slices, then also another phase on the same grid."""
    write_label_map(centre / "maps" / "P1.nii.gz", label_map(BOX["Lesion"].astype(np.uint8)))
    write_series(centre / "dicom" / "P1", series=2, z_mm=(1, 2, 3))
    said = only_problem(prepared(centre, "P1", source="nifti", path="maps"))["message"]
    assert f'series: {{P1: "{uid(1)}"}} (the ROI was drawn on it)' in said
    write_series(centre / "dicom" / "P1", series=3)
    said = only_problem(prepared(centre, "P1", source="nifti", path="maps"))["message"]
    assert f'series: {{P1: "{uid(1)}"}} or series: {{P1: "{uid(3)}"}}, or' in said


def test_a_missing_outline_is_named_in_each_form(centre):
    for source, name in (("seg", "P9.dcm"), ("rtstruct", "P9.dcm"), ("nifti", "P9.nii.gz")):
        write_series(centre / "dicom" / "P9")
        problem = only_problem(prepared(centre, "P9", source=source))
        assert problem["rule"] == "no_roi"
        assert problem["file"] == str(centre / "roi" / name)


def test_the_manifest_offers_the_forms_that_are_read():
    assert get_args(Roi.model_fields["source"].annotation) == roi.SOURCES


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


def listed(centre, patient_id, n_images):
    """A list of the archive that gives the patient's one series so many images."""
    (centre / "dicom" / "all").mkdir()
    (centre / "dicom" / patient_id).rename(centre / "dicom" / "all" / patient_id)
    line = f"{uid(1)},{n_images},./all/{patient_id}/study/series"
    (centre / "dicom" / "metadata.csv").write_text(
        f"Series UID,Number of Images,File Location\n{line}\n", "utf-8"
    )


def test_a_series_of_a_half_download_says_how_much_is_missing(centre):
    """Six of ten images came: enough for the lesion's two slices, and then not."""
    listed(centre, "P1", 10)
    cohort = prepared(centre, "P1")
    assert len(cohort.table) == 2
    assert study_slices.warnings_of(cohort.inventory).to_numpy().tolist() == [
        [
            "P1",
            "fewer_files_than_listed",
            (
                "files of it are missing (metadata.csv lists more); download the series again: "
                "6 of 10 files are there"
            ),
        ]
    ]
    (centre / "dicom" / "all" / "P1" / "1-03.dcm").unlink()
    problem = only_problem(prepared(centre, "P1"))
    assert problem["rule"] == "unresolved_reference"
    assert problem["message"].endswith(
        f"holds no slice {uid(1, 3)}, to which the ROI refers (1 of its 2 slices are missing). "
        "metadata.csv lists 10 images of the series, 5 are there: download the series again."
    )


def test_a_series_of_which_one_file_came_is_to_be_downloaded_again(centre):
    listed(centre, "P1", 6)
    for number in range(2, 7):
        (centre / "dicom" / "all" / "P1" / f"1-{number:02d}.dcm").unlink()
    problem = only_problem(prepared(centre, "P1"))
    assert problem["rule"] == "single_file"
    assert "lists 6 images of the series, 1 are there: download" in problem["message"]


@pytest.mark.parametrize("left", ["nothing", "text", "segmentation", "scout"])
def test_a_folder_without_a_ct_is_its_patients_problem(centre, left):
    folder = centre / "dicom" / "P9"
    folder.mkdir()
    if left == "text":
        (folder / "README").write_text("images follow")
    elif left == "segmentation":
        (folder / "1-1.dcm").write_bytes((centre / "roi" / "P1.dcm").read_bytes())
    elif left == "scout":
        write_series(folder, z_mm=[0], change=lambda _, image: setattr(image, "Modality", "DX"))
    cohort = prepared(centre, "P9", "P1")
    assert cohort.table["patient_id"].unique().tolist() == ["P1"]
    problem = only_problem(cohort)
    assert problem["rule"] == "no_usable_series"
    assert "Put the portal-venous CT there" in problem["message"]


def test_warnings_are_of_series_that_can_be_used(centre):
    """P1's CT has a gap and another PatientID; the other series, a single slice, is refused."""
    folder = write_series(centre / "dicom" / "P1", patient_id="Patient_01")
    (folder / "1-05.dcm").unlink()
    write_series(folder, series=2, z_mm=[0], patient_id="Patient_01")
    cohort = prepared(centre, "P1", "P2")
    said = study_slices.warnings_of(cohort.inventory)
    assert said[["patient_id", "rule"]].to_numpy().tolist() == [
        ["P1", "patient_id_mismatch"],
        ["P1", "missing_slices"],
    ]
    assert "its folder's name tells" in said["meaning"][0]
    nobody = study_slices.warnings_of(prepared(centre, "P2").inventory)
    assert list(nobody.columns) == ["patient_id", "rule", "meaning"]
    assert nobody.empty


def test_the_middle_slice_tells_where_its_box_is(centre):
    """P1's boxes are 6 x 6 pixels of 0.75 mm; the upper slice's, rows 4 to 9 and columns 5 to 10.

    Widened by 5 pixels where the image has them: rows from 0 (4 before) to 14, columns 0 to 15.
    """
    table = cohort_slices(
        ["P1", "P2"], centre / "dicom", "seg", centre / "roi", chosen_series={}, workers=1
    ).table
    (row,) = study_slices.middle_slices(table.head(2), margin_pixels=5).to_dict("records")
    assert row.pop("title") == "P1<br>z 7.5 mm, 4 x 4 mm"
    assert row == pytest.approx(
        {"left": 5 / 16, "right": 11 / 16, "top": 4 / 15, "bottom": 10 / 15}
    )
    assert study_slices.middle_slices(table).index.tolist() == [1, 3]
    assert study_slices.middle_slices(table.head(0)).empty


def test_a_wrong_manifest_stops_before_anything_is_read(centre):
    with pytest.raises(
        InputError, match="roi_source must be one of seg, rtstruct, nifti, sr, boxes"
    ):
        prepared(centre, "P1", source="sge")
    with pytest.raises(InputError, match="is not a folder; correct the manifest"):
        cohort_slices(["P1"], centre / "nowhere", "seg", centre / "roi", chosen_series={})


def test_only_the_longest_lesion_is_cut_and_every_lesion_is_measured(centre):
    """Lesion 1 is 6 pixels of 0.75 mm long, lesion 2 nine: 4.5 and 6.75 mm."""
    masks = {**BOX, "Lesion 2": mask(s4=(10, 12, 4, 12))}
    write_seg(centre / "roi" / "P1.dcm", centre / "dicom" / "P1", masks)
    cohort = prepared(centre, "P1")
    assert cohort.table["lesion"].tolist() == [2]
    np.testing.assert_array_equal(cohort.pixels_hu[0, 0, 0], truth_hu(4)[10, 4])
    assert cohort.lesions[["lesion", "n_slices"]].to_numpy().tolist() == [[1, 2], [2, 1]]
    assert cohort.lesions["least_mm"].tolist() == pytest.approx([4.5, 6.75])


def test_a_margin_may_be_a_length(centre):
    """1.5 mm are 2 pixels of 0.75 mm: rows 1 to 10 and columns 2 to 11 of the lower slice."""
    cohort = cohort_slices(["P1"], centre / "dicom", "seg", centre / "roi", size=10, margin_mm=1.5)
    np.testing.assert_array_equal(cohort.pixels_hu[0], truth_hu(2)[1:11, 2:12])


def phase(description, acquisition_number, contrast_at="101500", scanned_at="101610"):
    """A change that says which phase a series is; 70 s after the contrast, unless told."""

    def change(number, image):
        image.SeriesDescription = description
        image.AcquisitionNumber = acquisition_number
        image.ContrastBolusStartTime, image.AcquisitionTime = contrast_at, scanned_at

    return change


@pytest.fixture
def phases(centre):
    """P1 also has an arterial series, 25 s after the contrast; the SEG is drawn on series 1."""
    folder = centre / "dicom" / "P1"
    write_series(folder, change=phase("Liver portal venous", 4))
    write_series(folder, series=2, change=phase("Liver arterial", 3, scanned_at="101525"))
    return centre


@pytest.mark.parametrize(
    "rule",
    [
        {"drawn_on": True},
        {"description": "PORTAL|pv"},
        {"acquisition_number": 4},
        {"delay_s": (55, 90)},
        {"description": "liver", "delay_s": (55, 90), "drawn_on": True},
    ],
    ids=["the ROI's", "description", "acquisition", "delay", "several at once"],
)
def test_the_manifests_rule_tells_the_series(phases, rule):
    cohort = prepared(phases, "P1", rule=SeriesRule(**rule))
    assert cohort.problems.empty
    assert cohort.table["series_instance_uid"].tolist() == [uid(1)] * 2


def test_a_rule_that_leaves_several_says_what_each_headers_tell(phases):
    problem = only_problem(prepared(phases, "P1", rule=SeriesRule(description="liver")))
    assert problem["rule"] == "several_series"
    assert f"{uid(1)} ('Liver portal venous', #4, 70 s after contrast)" in problem["message"]
    assert f"{uid(2)} ('Liver arterial', #3, 25 s after contrast)" in problem["message"]


def test_a_rule_is_asked_of_an_only_series_too(centre):
    """P2's one series says nothing of its phase: it is not taken for the portal one."""
    problem = only_problem(prepared(centre, "P2", rule=SeriesRule(description="portal")))
    assert problem["rule"] == "no_series_by_rule"
    assert "(description: portal)" in problem["message"]
    assert f'series: {{P2: "{uid(1)}"}}' in problem["message"]


def test_one_acquisition_of_two_in_a_series_is_taken(centre):
    """Two phases interleaved under one UID, 1000 HU apart; the label map marks places alone."""
    folder = centre / "dicom" / "P1"

    def later(number, image):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(9, number)
        image.AcquisitionNumber = 2
        image.RescaleIntercept = float(image.RescaleIntercept) + 1000

    write_series(folder, change=lambda _, image: setattr(image, "AcquisitionNumber", 1))
    for file in write_series(centre / "second", change=later).iterdir():
        file.rename(folder / f"2-{file.name}")
    write_label_map(centre / "maps" / "P1.nii.gz", label_map(BOX["Lesion"].astype(np.uint8)))
    both = only_problem(prepared(centre, "P1", source="nifti", path="maps"))
    assert both["rule"] == "duplicate_positions"
    rule = SeriesRule(acquisition_number=2)
    cohort = prepared(centre, "P1", source="nifti", path="maps", rule=rule)
    np.testing.assert_array_equal(cohort.pixels_hu[0], truth_hu(2)[3:9, 4:10] + 1000)


def test_a_named_series_is_not_asked_for_the_rule(phases):
    rule = SeriesRule(description="arterial")
    assert prepared(phases, "P1", chosen={"P1": uid(1)}, rule=rule).problems.empty


@pytest.fixture
def study_of_four(centre):
    """P1 and P2 of hospital a have slices, P4 has no outline, P5 no images."""
    (centre / "a").mkdir()
    (centre / "dicom").rename(centre / "a" / "dicom")
    (centre / "roi").rename(centre / "a" / "roi")
    write_series(centre / "a" / "dicom" / "P4")
    entry = small_study.centre(
        "a", "development", dicom="a/dicom", roi={"source": "seg", "path": "a/roi"}
    )
    patients = pd.DataFrame(
        {"patient_id": ["P1", "P2", "P4", "P5"], "centre": "a", "has_ct": [True] * 3 + [False]}
    )
    return lambda **more: (small_study.read(centre, centres={"a": entry}, **more), patients)


def test_the_flow_chart_counts_whom_the_images_refused(study_of_four):
    study, patients = study_of_four()
    found = study_slices.study_slices(study, patients, size=6)
    flow = study_slices.flow(patients, found.problems)
    assert flow[["step", "excluded", "remaining"]].to_numpy().tolist() == [
        ["in_the_study", 0, 4],
        ["no_images_at_hand", 1, 3],
        ["no_roi", 1, 2],
    ]


def test_a_strict_study_stops_at_a_patient_without_slices(study_of_four):
    study, patients = study_of_four(strict=True)
    with pytest.raises(InputError, match=r"1 problem:\n  P4: must have slices \(no_roi\)"):
        study_slices.study_slices(study, patients, size=6)
    sound = patients[patients["patient_id"] != "P4"]
    assert study_slices.study_slices(study, sound, size=6).problems.empty


def test_patients_are_cut_again_in_the_order_of_the_table(study_of_four):
    """P1's first box is rows 3 to 8 and columns 4 to 9 of image 2; 3 pixels down, rows 6 to 11."""
    study, patients = study_of_four()
    table = study_slices.study_slices(study, patients, size=6).table
    cuts = [slices.Cut(), slices.Cut(down_pixels=3)]
    found = dict(study_slices.recut(study, patients, table, cuts, margin_pixels=0, size=6))
    assert list(found) == ["P1", "P2"]
    assert found["P1"].shape == (2, 2, 6, 6)
    np.testing.assert_array_equal(found["P1"][1, 0], truth_hu(2)[6:12, 4:10])


def test_a_patient_whose_files_are_gone_is_cut_no_more(study_of_four, centre):
    study, patients = study_of_four()
    table = study_slices.study_slices(study, patients, size=6).table
    shutil.rmtree(centre / "a" / "dicom" / "P1")
    found = dict(study_slices.recut(study, patients, table, [slices.Cut()], size=6))
    assert found["P1"] is None
    assert found["P2"].shape == (1, 2, 6, 6)
