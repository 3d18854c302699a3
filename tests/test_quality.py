"""What each rule says of series whose every value is known, and how hospitals scan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import small_study
from dicom_files import store, uid, write_series
from test_enhanced_ct import write_enhanced
from test_motion import body, moved

from hcc_utils.checks import InputError
from hcc_utils.imaging import landmarks, quality, scans
from hcc_utils.imaging.study_slices import study_slices

SIDE = 64
NO_LANDMARKS = pd.DataFrame(columns=["patient_id", "tissue", "hu"])


def tissue(number, image, *, hu=100.0, noise=10.0):
    """64 x 64 pixels of one tissue with noise, three rows of air above it."""
    drawn = np.random.default_rng(number).normal(hu, noise, (SIDE, SIDE))
    drawn[:3] = -1000
    image.Rows = image.Columns = SIDE
    store(image, drawn.round().astype("<i2"))


def found_of(folder, boxes, *, change=tissue, diameter_mm=15.0, **series):
    """The study of a1's series and these boxes: (slice's number or name, row_min, ...)."""
    if change is not None:
        write_series(folder / "a" / "dicom" / "a1", change=change, **series)
    names = [on if isinstance(on, str) else uid(1, on + 1) for on, *_ in boxes]
    rows = [("a1", name, *edges) for name, (_, *edges) in zip(names, boxes, strict=True)]
    names = ["patient_id", "sop_instance_uid", "row_min", "row_max", "column_min", "column_max"]
    table = pd.DataFrame(rows, columns=names)
    roi = {"source": "boxes", "path": "a/boxes.csv"}
    entry = small_study.centre("a", "development", dicom="a/dicom", roi=roi)
    study = small_study.read(folder, centres={"a": entry})
    table.to_csv(folder / "a" / "boxes.csv", index=False)
    patients = pd.DataFrame({"patient_id": ["a1"], "centre": "a", "diameter_mm": diameter_mm})
    return study, study_slices(study, patients, margin_pixels=5, size=32), patients


def judged(folder, boxes, *, hounsfield=NO_LANDMARKS, **more):
    """The rows of qc.csv, by rule."""
    _, found, patients = found_of(folder, boxes, **more)
    return quality.quality(found, patients, hounsfield).set_index("rule")


SOUND = [(2, 20, 39, 20, 39), (3, 20, 39, 20, 39)]


def changed(**attributes):
    """Tissue whose header says something else."""

    def change(number, image):
        tissue(number, image)
        for keyword, value in attributes.items():
            setattr(image, keyword, value)

    return change


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return judged(folder, SOUND)


def test_a_sound_series_passes_all_that_can_be_measured(sound):
    failed = sound[~sound["status"].isin(["pass"])]
    assert failed.index.tolist() == ["liver_hu", "portal_vein_hu", "aorta_above_liver_hu"]
    assert set(failed["status"]) == {"not measurable"}
    assert set(quality.LIMITS) < set(sound.index)


def test_values_stand_beside_their_limits(sound):
    """Written: 2.5 mm slices, 120 kVp; two slices of lesion; 20 pixels of 0.75 mm are 15 mm."""
    assert sound.loc["slice_thickness_mm", ["value", "limit"]].tolist() == [2.5, "0 to 5"]
    assert sound.loc["kvp", ["value", "limit"]].tolist() == [120, "100 to 140"]
    assert sound.loc["lesion_slices", ["value", "limit"]].tolist() == [2, "at least 2"]
    assert sound.loc["target_lesion_mm", "value"] == 15
    assert sound.loc["table_diameter_mm", "value"] == 15
    assert sound["meaning"][sound["status"] == "pass"].eq("").all()


def test_noise_is_what_was_drawn(sound):
    """Normal noise of 10 HU: the most frequent spread of 81 pixels is near it."""
    assert sound.loc["noise_hu", "value"] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("noise", [5.0, 20.0])
def test_noise_ignores_edges_and_air(noise):
    """Half of the slice is air, and a bright vessel crosses it."""
    hu = np.random.default_rng(3).normal(110, noise, (200, 200))
    hu[100:], hu[40:44] = -1000, 260
    assert scans.noise_hu(hu) == pytest.approx(noise, abs=0.1 * noise + 0.5)


def test_without_soft_tissue_there_is_no_noise_to_measure():
    assert np.isnan(scans.noise_hu(np.full((50, 50), -1000.0)))


@pytest.mark.parametrize(
    ("rule", "value", "attributes"),
    [
        ("slice_thickness_mm", 7, {"SliceThickness": 7}),
        ("kvp", 80, {"KVP": 80}),
        ("pixel_spacing_mm", 1.5, {"PixelSpacing": [1.5, 1.5]}),
        ("lossy_compression", 1, {"LossyImageCompression": "01"}),
        ("patient_id_mismatch", 1, {"PatientID": "other"}),
    ],
)
def test_what_a_header_says_warns(tmp_path, rule, value, attributes):
    row = judged(tmp_path, SOUND, change=changed(**attributes)).loc[rule]
    assert row[["status", "value"]].tolist() == ["warn", value]
    assert row["meaning"]


def test_an_attribute_that_is_not_there_is_no_pass(tmp_path):
    row = judged(tmp_path, SOUND, change=changed(KVP=None)).loc["kvp"]
    assert row["status"] == "not measurable"
    assert np.isnan(row["value"])


@pytest.mark.parametrize(
    ("z_mm", "rule"),
    [
        ((0, 2.5, 5, 7.5, 12.5, 15), "missing_slices"),
        ((0, 2.5, 5, 7.5, 9.0, 11.5), "uneven_spacing"),
        ((0, 6, 12, 18, 24, 30), "slice_spacing_mm"),
    ],
    ids=["gap", "uneven", "far apart"],
)
def test_how_slices_lie_warns(tmp_path, z_mm, rule):
    assert judged(tmp_path, SOUND, z_mm=z_mm).loc[rule, "status"] == "warn"


@pytest.mark.parametrize(
    ("boxes", "rule", "value"),
    [
        ([(2, 20, 39, 44, 63), *SOUND[1:]], "lesion_at_image_edge", 1),
        ([(2, 20, 39, 0, 19), (3, 44, 63, 20, 39)], "lesion_at_image_edge", 2),
        ([(0, 20, 39, 20, 39), *SOUND], "lesion_at_series_end", 1),
        ([*SOUND, (5, 20, 39, 20, 39)], "lesion_at_series_end", 1),
        (SOUND[:1], "lesion_slices", 1),
    ],
    ids=["right", "left and below", "first slice", "last slice", "one slice"],
)
def test_a_lesion_that_is_cut_off_warns(tmp_path, boxes, rule, value):
    row = judged(tmp_path, boxes).loc[rule]
    assert row[["status", "value"]].tolist() == ["warn", value]


def test_a_body_that_moves_between_the_lesions_slices_warns(tmp_path):
    """By 8 pixels of 0.75 mm to the right, from the second of the lesion's slices on."""

    def change(number, image):
        hu = body() if number <= 2 else moved(body(), 0, 8)
        image.Rows, image.Columns = hu.shape
        store(image, hu.astype("<i2"))

    table = judged(tmp_path, [(2, 90, 109, 90, 109), (3, 90, 109, 90, 109)], change=change)
    row = table.loc["motion_mm"]
    assert row["status"] == "warn"
    assert row["value"] == pytest.approx(6, abs=0.6)


def bright(number, image):
    """Tissue with a piece of metal within the box."""
    tissue(number, image)
    stored = np.frombuffer(image.PixelData, "<i2").reshape(SIDE, SIDE).copy()
    stored[25:35, 25:35] = 3071
    store(image, stored)


def test_metal_warns(tmp_path):
    assert judged(tmp_path, SOUND, change=bright).loc["metal_in_crop", "status"] == "warn"


@pytest.mark.parametrize(
    ("left_hu", "right_hu", "broken"),
    [
        (-1024, 100, {"air_in_crop", "padding_in_crop"}),
        (-700, 100, {"air_in_crop"}),
        (1124, 1124, {"crop_median_hu"}),
    ],
    ids=["padding", "lung", "units off by 1024"],
)
def test_a_crop_with_little_tissue_warns(tmp_path, left_hu, right_hu, broken):
    """The left 29 columns are 9 of the box's 20 and 14 of the crop's 30: 47 %."""

    def change(number, image):
        tissue(number, image)
        drawn = np.full((SIDE, SIDE), right_hu)
        drawn[:, :29] = left_hu
        store(image, drawn.astype("<i2"))

    table = judged(tmp_path, SOUND, change=change)
    crops = [rule for rule in table.index if "crop" in rule]
    assert set(table.loc[crops][table.loc[crops, "status"] == "warn"].index) == broken


def seen(**hu):
    """Rows of hounsfield.csv."""
    return pd.DataFrame(
        [("a1", name, value) for name, value in hu.items()], columns=NO_LANDMARKS.columns
    )


@pytest.mark.parametrize(
    ("hu", "said"),
    [
        ({"liver": 110.0, "portal_vein": 160.0, "aorta": 150.0}, ["pass", "pass", "pass"]),
        ({"liver": 60.0, "portal_vein": 70.0, "aorta": 320.0}, ["warn", "warn", "warn"]),
        ({"liver": 55.0, "portal_vein": 40.0, "aorta": 40.0}, ["warn", "warn", "warn"]),
        ({"liver": 110.0, "spleen": 120.0}, ["pass", "not measurable", "not measurable"]),
        ({"liver": np.nan}, ["not measurable"] * 3),
    ],
    ids=["portal", "arterial", "without contrast", "liver alone", "not measured"],
)
def test_the_phase_is_judged_where_tissues_are_known(tmp_path, hu, said):
    table = judged(tmp_path, SOUND, hounsfield=seen(**hu))
    rules = ["liver_hu", "portal_vein_hu", "aorta_above_liver_hu"]
    assert table.loc[rules, "status"].tolist() == said


def test_who_has_no_slices_is_refused_by_the_problems_rule(tmp_path):
    study, found, patients = found_of(tmp_path, SOUND)
    patients = pd.concat([patients.assign(patient_id="a0"), patients], ignore_index=True)
    found = study_slices(study, patients, margin_pixels=5, size=32)
    table = quality.quality(found, patients, NO_LANDMARKS)
    assert table.iloc[0][["patient_id", "status"]].tolist() == ["a0", "refuse"]
    assert table.iloc[0]["rule"] == found.problems["rule"].item()
    assert table["centre"].eq("a").all()


def test_nobody_with_slices_gives_an_empty_table(tmp_path):
    study, found, patients = found_of(tmp_path, SOUND)
    nobody = patients[:0]
    found = study_slices(study, nobody, margin_pixels=5, size=32)
    table = quality.quality(found, nobody, NO_LANDMARKS)
    assert table.empty
    assert list(table.columns) == list(quality.COLUMNS)
    assert quality.counts(table).empty


def test_frames_of_an_enhanced_ct_are_found_by_their_place(tmp_path):
    """Frames lie in the order 5, 0, 4, 1, 3, 2: the first frame is the series' last slice."""
    write_enhanced(tmp_path / "a" / "dicom" / "a1" / "ct", (5, 0, 4, 1, 3, 2))
    boxes = [(f"{uid(1, 1)}#{frame}", 8, 12, 6, 10) for frame in (1, 3)]
    _, found, _ = found_of(tmp_path, boxes, change=None)
    row = found.scans.iloc[0]
    assert row["lesion_at_series_end"] == 1
    assert row[["kvp", "kernel", "slice_spacing_mm"]].tolist() == [120, "B30f", 2.5]


def test_counts_name_no_patient():
    rows = [("P1", "a", "kvp", "pass"), ("P2", "a", "kvp", "warn"), ("P3", "b", "kvp", "pass")]
    table = pd.DataFrame(rows, columns=["patient_id", "centre", "rule", "status"])
    expected = [["kvp", "a", 1, 1, 0, 0], ["kvp", "b", 1, 0, 0, 0]]
    counted = quality.counts(table)
    assert counted.to_numpy().tolist() == expected
    assert list(counted.columns) == ["rule", "centre", *quality.STATUSES]


def test_exposure_is_current_times_time_where_both_are_told(tmp_path):
    """320 mA for 500 ms are 160 mAs, whatever Exposure says (units differ between scanners)."""
    change = changed(XRayTubeCurrent=320, ExposureTime=500, Exposure=3519)
    _, found, _ = found_of(tmp_path, SOUND, change=change)
    assert found.scans["exposure_mas"].item() == 160


@pytest.mark.parametrize(
    ("start", "scan", "delay_s"),
    [("101500", "101610.5", 70.5), ("235930", "000040", 70), ("", "101610", np.nan)],
    ids=["a minute", "past midnight", "not recorded"],
)
def test_the_delay_after_contrast(tmp_path, start, scan, delay_s):
    change = changed(ContrastBolusStartTime=start, AcquisitionTime=scan)
    _, found, _ = found_of(tmp_path, SOUND, change=change)
    said = found.scans["delay_s"].item()
    assert said == pytest.approx(delay_s, nan_ok=True)


PATIENTS = pd.DataFrame({"patient_id": ["P1", "P2", "P3", "P4"], "centre": ["a", "a", "a", "b"]})


def scanned(**columns):
    """Three patients of one hospital and one of another."""
    plain = dict.fromkeys(scans.COLUMNS, np.nan) | dict.fromkeys(
        ("manufacturer", "model", "kernel", "contrast_agent"), ""
    )
    table = pd.DataFrame([plain] * 4).assign(patient_id=PATIENTS["patient_id"])
    return table.assign(**columns)


def test_settings_are_counted_by_hospital_and_numbers_ranged():
    scans_of_two = scanned(
        manufacturer="North",
        model=["64", "64", "16", "8"],
        kvp=[120.0, 120.0, 100.0, 120.0],
        exposure_mas=[210.0, np.nan, 180.5, np.nan],
    )
    table = quality.scanner_table(scans_of_two, PATIENTS)
    assert table.loc["Patients"].tolist() == ["3", "1"]
    assert table.loc["Scanner"].tolist() == ["North 64 (2), North 16 (1)", "North 8 (1)"]
    assert table.loc["Tube voltage, kVp"].tolist() == ["120 (2), 100 (1)", "120 (1)"]
    assert table.loc["Exposure, mAs"].tolist() == [
        "180.5 to 210, not recorded (1)",
        "not recorded",
    ]


def test_the_table_of_scanners_names_no_patient():
    table = quality.scanner_table(scanned(), PATIENTS)
    assert "P1" not in table.to_csv()


def test_limits_of_tissues_are_those_of_the_landmarks():
    for tissue_name in ("liver", "portal_vein"):
        expected = landmarks.EXPECTED_HU[tissue_name]
        assert quality.LIMITS[f"{tissue_name}_hu"][:2] == (expected.low_hu, expected.high_hu)


def test_a_missing_column_is_named(tmp_path):
    _, found, patients = found_of(tmp_path, SOUND)
    with pytest.raises(InputError, match="centre"):
        quality.quality(found, patients.drop(columns="centre"), NO_LANDMARKS)
