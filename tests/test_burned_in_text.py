"""Text in pixels is found by its shape; anatomy is not taken for it."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pictures import scout, written

from hcc_utils.demo import phantoms
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.imaging.burned_in_text import is_written_on

NAMES = ("DOE^JANE 1950-12-31", "Smith John", "ID 4711 M")
FACTORS = {"sex": "male", "diameter_mm": 45.0, "lobe": "right", "at_surface": False}
FACTORS |= {"patient_id": "X001", "cirrhosis": False, "capsule": "absent"}
FACTORS |= {"enhancement_ratio": 1.57}


@pytest.mark.parametrize("size", [8, 10, 12, 16, 20, 28, 40])
@pytest.mark.parametrize("text", NAMES)
class TestText:
    """Sizes from the smallest legible to a title's."""

    def test_on_a_black_screen_it_is_found(self, text, size):
        assert is_written_on(written(np.zeros((256, 512)), text, size=size))

    def test_soft_letters_on_a_black_screen_are_found(self, text, size):
        assert is_written_on(written(np.zeros((256, 512)), text, size=size, soft=True))

    def test_black_letters_on_white_are_found(self, text, size):
        page = np.full((256, 512), 255.0)
        assert is_written_on(written(page, text, size=size, value=0))

    def test_on_a_scout_it_is_found(self, text, size):
        assert is_written_on(written(scout(columns=512), text, size=size))


def test_text_below_the_highest_value_is_found():
    picture = scout()
    picture[200:210, 150:160] = 3000  # metal is brighter than the letters
    assert is_written_on(written(picture, "DOE^JANE", value=1800))


def test_colour_is_looked_at():
    grey = written(np.zeros((96, 160)), "DOE^JANE", value=200)
    assert is_written_on(np.stack([grey, np.zeros_like(grey), np.zeros_like(grey)], axis=-1))


@pytest.mark.parametrize("letter", ["L", "R", "AP"])
def test_a_marker_of_a_side_is_no_text(letter):
    assert not is_written_on(written(scout(), letter, size=20))


@pytest.mark.parametrize("seed", range(10))
def test_a_bare_scout_is_not_taken_for_text(seed):
    assert not is_written_on(scout(seed=seed))


def test_a_row_of_air_bubbles_in_tissue_is_not_taken_for_text():
    """Air is as flat and dark as black letters; what is around it is not paper."""
    tissue = np.random.default_rng(1).normal(50, 15, (96, 160)).round()
    for left in range(20, 120, 12):
        tissue[40:52, left : left + 6] = -1024
    assert not is_written_on(tissue)


@pytest.mark.parametrize("seed", [18, 39])
def test_noise_cut_at_its_floor_is_not_taken_for_text(seed):
    """Air beside a body in a coronal reformat: thick slices make its noise into strokes."""
    noise = np.random.default_rng(seed).normal(-1010, 40, (60, 512)).round()
    assert not is_written_on(np.maximum(noise, -1024).repeat(3, axis=0))


def test_a_flat_picture_is_not_taken_for_text():
    assert not is_written_on(np.zeros((64, 64)))


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_the_demos_slices_and_their_scouts_are_not_taken_for_text(hospital):
    drawn = phantoms.phantom(FACTORS, -0.5, HOSPITALS[hospital], 7)
    body = np.rint(drawn.hounsfield)
    front, side = (np.rint(body.mean(axis=axis)).repeat(6, axis=0) for axis in (1, 2))
    assert not [number for number, image in enumerate(body) if is_written_on(image)]
    assert not is_written_on(front)
    assert not is_written_on(side)


@pytest.mark.real_data
@pytest.mark.slow
def test_no_axial_slice_of_the_real_sample_is_taken_for_text(hcc_tace_seg_root):
    files = sorted((hcc_tace_seg_root / "dicom").rglob("*.dcm"))
    assert not [file for file in files if is_written_on(pydicom.dcmread(file).pixel_array)]


@pytest.mark.real_data
def test_no_reformat_of_the_real_sample_is_taken_for_text(hcc_tace_seg_root):
    """Coronal, sagittal and a projection like a scout's, from air through the body to air."""
    folders = sorted((hcc_tace_seg_root / "dicom").iterdir())
    taken = [folder.name for folder in folders for p in reformats(folder) if is_written_on(p)]
    assert len(folders) == 4
    assert not taken


def reformats(folder):
    """Pictures across a series' slices, each slice repeated to the height that it has in mm."""
    images = sorted(map(pydicom.dcmread, folder.glob("*.dcm")), key=lambda i: i.SliceLocation)
    body = np.stack([image.pixel_array for image in images])
    for axis in (1, 2):
        cuts = [body.take(place, axis) for place in range(4, 512, 32)]
        for picture in (*cuts, np.rint(body.mean(axis=axis))):
            yield picture.repeat(3, axis=0)
