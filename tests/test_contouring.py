"""
Outlines from a seed: on phantoms whose masks are known, on balls drawn for the test, on patients.

What tells surfaces was fitted on hospitals A and B of demos of seeds 7 to 14 (``benchmarks/
outline.py``); the phantoms here are of hospitals C to E.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess

import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_files import store, write_series
from scipy import ndimage
from test_series import opened

from hcc_utils import checks
from hcc_utils.demo import dicom, phantoms
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.imaging import contouring, roi, series
from hcc_utils.imaging.contouring import Pixel, contour
from hcc_utils.imaging.desk import Desk

SIZE, SPACING_MM, STEP_MM = 96, 0.75, 2.5
CENTRE = 48  # of rows and columns, and the lesion's
INSIDE, OUTSIDE, RADIUS_MM = 60, 110, 14.0


def drawn(folder, z_mm, *, inside=INSIDE, shift_mm=0.0):
    """A ball of 14 mm at z = 30 mm in tissue, each slice where its own position says."""

    def change(number, image):
        origin = -CENTRE * SPACING_MM + shift_mm * number
        image.Rows = image.Columns = SIZE
        image.ImagePositionPatient = [origin, -CENTRE * SPACING_MM, z_mm[number]]
        noise = np.random.default_rng(number).normal(0, 8, (SIZE, SIZE))
        hu = np.where(truth(z_mm[number], shift_mm * number), inside, OUTSIDE) + noise
        store(image, hu.round().astype("<i2"))

    return opened(write_series(folder, z_mm=z_mm, change=change))


def truth(z_mm, shift_mm=0.0):
    """Which pixels of a slice lie in the ball."""
    axis = (np.arange(SIZE) - CENTRE) * SPACING_MM
    return (axis + shift_mm)[None, :] ** 2 + axis[:, None] ** 2 + (z_mm - 30) ** 2 < RADIUS_MM**2


def dice(found, expected):
    """2 |A and B| / (|A| + |B|)."""
    both = sum((found[uid] & mask).sum() for uid, mask in expected.items() if uid in found)
    return 2 * both / (sum(m.sum() for m in found.values()) + sum(map(np.sum, expected.values())))


def seed_at(found, z_mm, column=CENTRE, row=CENTRE):
    nearest = min(found.slices, key=lambda header: abs(header.position_mm[2] - z_mm))
    return Pixel(nearest.sop_instance_uid, row, column)


EVEN = tuple(np.arange(0, 60.1, STEP_MM))
UNEVEN = tuple(np.cumsum([0, *([1.5, 4.0] * 11)]))


@pytest.mark.parametrize(
    ("z_mm", "shift_mm"),
    [
        pytest.param(EVEN, 0.0, id="even"),
        pytest.param(UNEVEN, 0.0, id="uneven"),
        pytest.param(EVEN[:10] + EVEN[12:], 0.0, id="two slices missing"),
        pytest.param(EVEN, 0.67, id="gantry tilt of 15 degrees"),
    ],
)
def test_a_ball_is_found_however_the_slices_lie(tmp_path, z_mm, shift_mm):
    """tan 15 degrees of 2.5 mm are 0.67 mm: each slice is drawn and compared at its own place."""
    found = drawn(tmp_path / "P1", z_mm, shift_mm=shift_mm)
    seed = seed_at(found, 30)
    number = found.place(seed.sop_instance_uid)
    seed = seed._replace(column=CENTRE - round(shift_mm * number / SPACING_MM))
    outline = contour(found, seed, 2 * RADIUS_MM)
    expected = {
        header.sop_instance_uid: truth(header.position_mm[2], shift_mm * place)
        for place, header in enumerate(found.slices)
    }
    assert dice(outline.masks, expected) > 0.9
    assert outline.contrast_hu == pytest.approx(INSIDE - OUTSIDE, abs=6)
    assert outline.note == ""


def test_it_cannot_run_into_the_rest_and_says_that_it_saw_nothing(tmp_path):
    """Where lesion and liver are alike, the outline stays within 1.3 of the radius given."""
    found = drawn(tmp_path / "P1", EVEN, inside=OUTSIDE)
    outline = contour(found, seed_at(found, 30), 2 * RADIUS_MM)
    assert "hardly differs" in outline.note
    axis = (np.arange(SIZE) - CENTRE) * SPACING_MM
    far = np.hypot(axis[:, None], axis[None, :])
    assert max(far[mask].max() for mask in outline.masks.values()) < 1.3 * RADIUS_MM


def test_a_lesion_that_the_series_cuts_is_told(tmp_path):
    found = drawn(tmp_path / "P1", EVEN[9:])
    assert "first or last slice" in contour(found, seed_at(found, 30), 2 * RADIUS_MM).note


def test_slices_out_of_reach_are_not_read(tmp_path):
    """A file gone where no ray of 1.9 x 14 mm can come is not missed."""
    found = drawn(tmp_path / "P1", tuple(np.arange(0, 90.1, 2.5)))
    found.slices[-1].path.unlink()
    assert contour(found, seed_at(found, 30), 2 * RADIUS_MM).masks


@pytest.mark.parametrize(
    ("row", "diameter_mm", "message"),
    [
        pytest.param(SIZE, 20, "outside the slice's 96 rows", id="below the image"),
        pytest.param(-1, 20, "outside the slice's 96 rows", id="above the image"),
        pytest.param(CENTRE, 0, "above 0 and at most 300; got 0", id="no diameter"),
        pytest.param(CENTRE, -5, "above 0 and at most 300; got -5", id="negative"),
        pytest.param(CENTRE, float("nan"), "got nan", id="not a number"),
        pytest.param(CENTRE, 900, "at most 300; got 900", id="pixels for mm"),
    ],
)
def test_a_wrong_seed_or_diameter_is_named(tmp_path, row, diameter_mm, message):
    found = drawn(tmp_path / "P1", EVEN)
    with pytest.raises(checks.InputError, match=message):
        contour(found, seed_at(found, 30, row=row), diameter_mm)


def test_a_place_on_the_edge_draws_the_outline_there(tmp_path):
    """
    It moves by (1 + .1) / (1 + .1 + .25) of what it missed, and by .1 / 1.35 on the other side.

    That is simple kriging from one place, by hand, with the module's variances.
    """
    found = drawn(tmp_path / "P1", EVEN, inside=OUTSIDE)
    seed = seed_at(found, 30)

    def reach(*edge):
        (columns,) = np.nonzero(
            contour(found, seed, 2 * RADIUS_MM, edge).masks[seed.sop_instance_uid][CENTRE]
        )
        return (columns.max() - CENTRE) * SPACING_MM, (CENTRE - columns.min()) * SPACING_MM

    right, left = reach()
    missed = 26 * SPACING_MM - right
    far_right, far_left = reach(seed._replace(column=CENTRE + 26))
    assert far_right == pytest.approx(right + 1.1 / 1.35 * missed, abs=1.5 * SPACING_MM)
    assert far_left == pytest.approx(left + 0.1 / 1.35 * missed, abs=1.5 * SPACING_MM)


@pytest.mark.parametrize("column", [CENTRE, CENTRE + 40], ids=["the seed", "40 columns of 0.75 mm"])
def test_a_place_out_of_reach_is_no_edge(tmp_path, column):
    """1.9 times 14 mm are 26.6 mm."""
    found = drawn(tmp_path / "P1", EVEN)
    seed = seed_at(found, 30)
    with pytest.raises(checks.InputError, match=r"or farther from it than 1\.9 times 14 mm"):
        contour(found, seed, 2 * RADIUS_MM, [seed._replace(column=column)])


def test_a_seed_in_air_is_refused(tmp_path):
    found = drawn(tmp_path / "P1", EVEN, inside=-900)
    with pytest.raises(checks.InputError, match=r"around the seed .* lie -\d+ HU"):
        contour(found, seed_at(found, 30), 2 * RADIUS_MM)


def test_two_slices_at_one_place_are_refused(tmp_path):
    found = drawn(tmp_path / "P1", (*EVEN, 30.0))
    with pytest.raises(checks.InputError, match="two slices lie at the place"):
        contour(found, seed_at(found, 30), 2 * RADIUS_MM)


PATIENTS = {
    "hospital_c": {"diameter_mm": 45.0, "capsule": "intact"},
    "hospital_d": {"diameter_mm": 60.0, "capsule": "absent"},
    "hospital_e": {"diameter_mm": 80.0, "capsule": "non_intact", "mosaic": True},
}


def on_disk(folder, hospital, look, seed):
    """A patient's series as the demo writes it, and the mask of each slice that was drawn."""
    patient = pd.Series({"patient_id": "X001", "lobe": "right", **look})
    dicom.write_patient(folder, patient, 0.0, HOSPITALS[hospital], seed)
    drawn = phantoms.phantom(patient, 0.0, HOSPITALS[hospital], seed)
    found = series.folder(folder / "dicom" / "X001")
    (uid,) = found.usable
    opened = found.open(uid)
    masks = zip(opened.slices, drawn.lesion, strict=True)
    return opened, {header.sop_instance_uid: mask for header, mask in masks}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A patient of hospital C, and the true masks and diameter."""
    look = PATIENTS["hospital_c"]
    return *on_disk(tmp_path_factory.mktemp("c"), "hospital_c", look, 5), look["diameter_mm"]


def middle(masks):
    """The lesion's centre of mass: slice, row, column."""
    places = np.argwhere(np.stack(list(masks.values())))
    number, row, column = np.rint(places.mean(axis=0)).astype(int).tolist()
    return Pixel(list(masks)[number], row, column)


@pytest.mark.slow
def test_phantoms_masks_are_found(tmp_path):
    """
    The bar of .85, for the mean of twelve: three hospitals and sizes; three have two lobes.

    Over all 108 lesions of the demo's hospitals C to E, by ``benchmarks/outline.py``: mean .87,
    median .89, a third below .85; of two lobes (27) mean .78; with rough seeds and diameters .83.
    """
    found = []
    for hospital, look in PATIENTS.items():
        own_mm = look["diameter_mm"]
        for seed, diameter_mm, lobes in (
            (5, own_mm, 1),
            (6, 30.0, 1),
            (7, 100.0, 1),
            (8, own_mm, 2),
        ):
            folder = tmp_path / f"{hospital}_{seed}"
            whole = look | {"diameter_mm": diameter_mm, "fusion_lesion": lobes == 2}
            series_of, masks = on_disk(folder, hospital, whole, seed)
            found.append(dice(contour(series_of, middle(masks), diameter_mm).masks, masks))
    assert np.mean(found) >= 0.85, np.round(found, 2)


def correction(found, masks, spacing_mm):
    """What a reader would click: of the true surface, what is nearest to the deepest error."""
    true = np.stack(list(masks.values()))
    drawn = np.stack([found.get(uid, np.zeros_like(mask)) for uid, mask in masks.items()])
    depth = [ndimage.distance_transform_edt(wrong) for wrong in true ^ drawn]
    deepest = np.unravel_index(np.argmax(depth), true.shape)
    surface = np.argwhere(true & ~ndimage.binary_erosion(true))
    nearest = np.linalg.norm((surface - deepest) * spacing_mm, axis=1).argmin()
    number, row, column = surface[nearest].tolist()
    return Pixel(list(masks)[number], row, column)


@pytest.mark.slow
def test_corrections_bring_outlines_to_the_bar(tmp_path):
    """The bar of .85, for the mean of six, three of them of two lobes, after five corrections."""
    found = []
    for (hospital, look), lobes in itertools.product(PATIENTS.items(), (1, 2)):
        whole = look | {"fusion_lesion": lobes == 2}
        series_of, masks = on_disk(tmp_path / f"{hospital}_{lobes}", hospital, whole, 5)
        first, second = series_of.slices[:2]
        step_mm = second.position_mm[2] - first.position_mm[2]
        seed, edge = middle(masks), []
        for _ in range(5):
            drawn = contour(series_of, seed, look["diameter_mm"], edge).masks
            edge.append(correction(drawn, masks, (step_mm, *first.pixel_spacing_mm)))
        found.append(dice(contour(series_of, seed, look["diameter_mm"], edge).masks, masks))
    assert np.mean(found) >= 0.85, np.round(found, 2)


def test_the_segmentation_gives_back_the_same_pixels(phantom, tmp_path):
    """Boxes by hand from the masks; two lesions, so that both segments are read."""
    found, masks, diameter_mm = phantom
    seed = middle(masks)
    outlines = [contour(found, seed, share * diameter_mm) for share in (1.0, 0.3)]
    desk = Desk(found.slices[0].path.parents[1], tmp_path)
    path = desk.save(found, outlines)
    boxes = roi.from_seg(path, found)
    expected = []
    for lesion, outline in enumerate(outlines, start=1):
        for uid, mask in outline.masks.items():
            rows, columns = np.nonzero(mask)
            edges = [rows.min(), rows.max(), columns.min(), columns.max()]
            expected.append([uid, lesion, *map(int, edges)])
    assert boxes[["sop_instance_uid", "lesion", *roi.EDGES]].to_numpy().tolist() == expected
    assert path.name == "X001.dcm"
    first = path.read_bytes()
    assert desk.save(found, outlines).read_bytes() == first


def test_the_segmentation_is_valid_and_says_who_drew_it(phantom, tmp_path):
    """Debian's dciodvfy, where it is installed, finds no error."""
    found, masks, diameter_mm = phantom
    desk = Desk(found.slices[0].path.parents[1], tmp_path)
    path = desk.save(found, [contour(found, middle(masks), diameter_mm)])
    written = pydicom.dcmread(path)
    (segment,) = written.SegmentSequence
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("Lesion", "SEMIAUTOMATIC")
    assert segment.SegmentAlgorithmName == contouring.ALGORITHM
    (reference,) = written.ReferencedSeriesSequence
    assert reference.SeriesInstanceUID == found.series_instance_uid
    if shutil.which("dciodvfy"):
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
        assert errors == []


def test_a_ct_without_times_and_with_a_bare_name_gives_a_valid_segmentation(tmp_path):
    """As The Cancer Imaging Archive leaves them; ContentDate and ContentTime must have values."""
    found = drawn(tmp_path / "dicom" / "P1", EVEN)
    for header in found.slices:
        image = pydicom.dcmread(header.path)
        image.PatientName = "P1"
        image.save_as(header.path)
    path = Desk(tmp_path / "dicom", tmp_path).save(
        found, [contour(found, seed_at(found, 30), 2 * RADIUS_MM)]
    )
    written = pydicom.dcmread(path)
    assert (written.ContentDate, written.ContentTime) == ("19000101", "000000")


def test_saving_nothing_is_refused(phantom, tmp_path):
    found, *_ = phantom
    with pytest.raises(checks.InputError, match="no lesion is kept"):
        Desk(found.slices[0].path.parents[1], tmp_path).save(found, [])


def test_a_root_without_patients_is_refused(tmp_path):
    with pytest.raises(checks.InputError, match="holds no patient's folder"):
        Desk(tmp_path, tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize("patient_id", ["HCC_007", "HCC_009", "HCC_015"])
def test_real_lesions_are_outlined_plausibly(hcc_tace_seg_root, patient_id):
    """
    From the middle of the boxes drawn by eye: tissue, within twice the boxes' span.

    The boxes are approximate: how well the outline agrees with them is not judged.
    """
    desk = Desk(hcc_tace_seg_root / "dicom", "unused")
    found = desk.open(patient_id)
    boxes = roi.from_boxes(hcc_tace_seg_root / "lesion_boxes.csv", found)
    spacing = found.slices[0].pixel_spacing_mm[0]
    sides = boxes[["row_max", "column_max"]].to_numpy() - boxes[["row_min", "column_min"]]
    diameter_mm = float((sides.max().max() + 1) * spacing)
    home = boxes.iloc[len(boxes) // 2]
    seed = Pixel(
        home["sop_instance_uid"],
        int(home["row_min"] + home["row_max"]) // 2,
        int(home["column_min"] + home["column_max"]) // 2,
    )
    outline = contour(found, seed, diameter_mm)
    assert len(boxes) / 2 < len(outline.masks) < 2 * len(boxes)
    for uid, mask in outline.masks.items():
        hu = found.hu(uid)[mask]
        assert (hu > -300).mean() > 0.9
        rows, columns = np.nonzero(mask)
        assert max(np.ptp(rows), np.ptp(columns)) * spacing < 2 * diameter_mm
