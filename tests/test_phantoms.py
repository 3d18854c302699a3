"""Phantoms: the table's diameter and factors, a portal-phase abdomen, a scanner's noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from hcc_utils.demo import anatomy, lesions, patients, phantoms, study, textures
from hcc_utils.demo.hospitals import HOSPITALS

PLAIN = {
    "patient_id": "X001",
    "sex": "male",
    "diameter_mm": 45.0,
    "lobe": "right",
    "at_surface": False,
    "cirrhosis": False,
    "capsule": "absent",
    "enhancement_ratio": 1.57,
}


def drawn(hospital="hospital_a", latent=-0.5, seed=7, **factors):
    return phantoms.phantom({**PLAIN, **factors}, latent, HOSPITALS[hospital], seed)


def largest(phantom):
    """The number of the slice on which the lesion is largest."""
    return int(phantom.lesion.sum(axis=(1, 2)).argmax())


def diameter_mm(phantom):
    """The greatest distance between pixel centres of the hull, and one pixel for their width."""
    longest = 0.0
    for mask in phantom.lesion:
        places = np.argwhere(mask).astype(float)
        if len(places) > 2 and np.linalg.matrix_rank(places - places[0]) == 2:
            places = places[ConvexHull(places).vertices]
        if len(places) > 1:
            longest = max(longest, pdist(places).max())
    return (longest + 1) * phantom.pixel_spacing_mm


def ring(phantom, near_mm, far_mm):
    """The pixels that are so far outside the lesion, on its largest slice."""
    number = largest(phantom)
    away = ndimage.distance_transform_edt(~phantom.lesion[number]) * phantom.pixel_spacing_mm
    return phantom.hounsfield[number][(away > near_mm) & (away <= far_mm)]


@pytest.fixture(scope="module")
def plain():
    return drawn()


def test_equal_arguments_give_equal_phantoms(plain):
    again = drawn()
    assert np.array_equal(plain.hounsfield, again.hounsfield)
    assert np.array_equal(plain.lesion, again.lesion)


def test_another_seed_gives_another_abdomen(plain):
    assert not np.array_equal(plain.hounsfield, drawn(seed=8).hounsfield)


@pytest.mark.parametrize(
    ("diameter", "hospital", "factors"),
    [
        (7, "hospital_d", {"lobe": "left"}),
        (20, "hospital_c", {"at_surface": True}),
        (60, "hospital_b", {"fusion_lesion": True, "lobe": "cross"}),
        (95, "hospital_e", {"invasive_shape": True, "capsule_breakthrough": True}),
        (150, "hospital_a", {"at_surface": True}),
        (210, "hospital_c", {}),
    ],
)
def test_longest_diameter_is_the_tables(diameter, hospital, factors):
    """Within a tenth, or a pixel where that is more: a mask has no finer edge."""
    phantom = drawn(hospital, 0.5, diameter_mm=diameter, **factors)
    within = max(0.1 * diameter, phantom.pixel_spacing_mm)
    assert diameter_mm(phantom) == pytest.approx(diameter, abs=within)


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_whole_lesion_is_on_the_slices(hospital):
    """At most 25 slices, evenly spaced, and none of the outermost touches even a huge lesion."""
    phantom = drawn(hospital, diameter_mm=200.0)
    assert len(phantom.z_mm) <= phantoms.MOST_SLICES
    spacing = HOSPITALS[hospital].slice_spacing_mm
    assert np.allclose(np.diff(phantom.z_mm) / spacing, np.rint(phantom.slice_spacing_mm / spacing))
    assert not phantom.lesion[[0, -1]].any()


@pytest.mark.parametrize(
    ("hospital", "diameter"), [("hospital_a", 90.0), ("hospital_c", 130.0), ("hospital_d", 200.0)]
)
def test_lesion_ends_at_the_abdominal_wall(hospital, diameter):
    """Fat and muscle are at least 6 + 9 mm thick, a lesion stays 3 mm below: 18 mm, a pixel off."""
    phantom = drawn(hospital, 1.5, diameter_mm=diameter, at_surface=True)
    for hu, mask in zip(phantom.hounsfield, phantom.lesion, strict=True):
        body = ndimage.binary_fill_holes(ndimage.binary_opening(hu > -300, np.ones((3, 3))))
        below = ndimage.distance_transform_edt(body) * phantom.pixel_spacing_mm
        assert not mask.any() or below[mask].min() > 15


def test_huge_lesion_ends_before_the_aorta():
    """Its radius is 11 mm, a lesion stays 3 mm off: nothing of it is within 10 mm of the middle."""
    phantom = drawn("hospital_a", 1.5, seed=0, diameter_mm=205.0, lobe="cross")
    x, y = np.meshgrid(phantom.x_mm, phantom.y_mm)
    for hu, mask in zip(phantom.hounsfield, phantom.lesion, strict=True):
        blood = (ndimage.uniform_filter(hu.astype(float), 5) > 125) & (
            np.hypot(x - 10, y - 34) < 14
        )
        middle = x[blood].mean(), y[blood].mean()
        assert not mask[np.hypot(x - middle[0], y - middle[1]) < 10].any()


def test_lesion_lies_in_the_liver_and_is_darker(plain):
    """At 120 kVp a liver without cirrhosis measures 60 + 52 at full contrast, within 15 %."""
    around = np.median(ring(plain, 12, 16))
    assert 100 <= around <= 124
    assert np.median(plain.hounsfield[plain.lesion]) < around - 10


@pytest.mark.parametrize(
    ("tissue", "x", "y", "low", "high"),
    [
        ("liver", -100, 10, 100, 120),
        ("aorta", 10, 33, 140, 165),
        ("vena cava", -21, 27, 125, 160),
        ("spleen", 112, 38, 110, 130),
        ("vertebra", 0, 58, 130, 250),
        ("muscle of the back", 33, 93, 45, 70),
        ("fat under the skin", 0, -114, -120, -85),
        ("air", 150, -120, -1000, -1000),
    ],
)
def test_tissues_measure_what_they_do_in_portal_phase(tissue, x, y, low, high):
    """Ranges as in textbooks of abdominal CT at 120 kVp, some 70 s after the contrast."""
    axis = ((np.arange(320) - 159.5) * 1.15).astype(np.float32)
    habitus = anatomy.Habitus(scale=1.0, fat_mm=13.0, iodine=1.0, cirrhosis=False)
    abdomen = anatomy.Abdomen(habitus, axis, np.random.default_rng(3))
    hu, _ = abdomen.paint(20.0, np.full((320, 320), -1e3, np.float32))
    there = np.hypot(*(a - b for a, b in zip(abdomen.places(20.0), (x, y), strict=True)))
    assert low <= np.median(hu[there < 4]) <= high


def test_portal_vein_is_brighter_than_the_liver():
    """At the hilum; portal blood measures about 170 at full contrast, liver 112."""
    phantom = drawn(lobe="left", diameter_mm=15.0)
    x, y = np.meshgrid(phantom.x_mm, phantom.y_mm)
    number = int(np.abs(phantom.z_mm - 3).argmin())
    assert abs(phantom.z_mm[number] - 3) < 5
    near = (np.abs(x + 40) < 12) & (np.abs(y + 9) < 14)
    smooth = ndimage.uniform_filter(phantom.hounsfield[number].astype(float), 3)
    assert smooth[near].max() > 145


def test_noise_has_the_spectrum_of_filtered_back_projection():
    """Neighbours' correlation is the spectrum's cosine transform; white noise would have 0."""
    noise = textures.ct_noise(np.random.default_rng(0), (8, 320, 320), 1.15, 0.19)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(320, 1.15), np.fft.fftfreq(320, 1.15)))
    spectrum = f * np.exp(-0.5 * (f / 0.19) ** 2)
    expected = np.fft.ifft2(spectrum).real[0, :4] / np.fft.ifft2(spectrum).real[0, 0]
    found = [1.0] + [float((noise[..., :-k] * noise[..., k:]).mean()) for k in (1, 2, 3)]
    assert noise.std() == pytest.approx(1)
    assert found == pytest.approx(expected, abs=0.01)
    assert found[1] > 0.2


def test_noise_in_the_liver_is_the_scanners():
    """Off the middle the scanner's SD is a little lower; grain and vessels add a little."""
    for name, hospital in HOSPITALS.items():
        phantom = drawn(name, diameter_mm=12.0)
        differences = np.diff(phantom.hounsfield[:, 140:180, 90:130].astype(float), axis=0)
        sd = 1.4826 * np.median(np.abs(differences)) / np.sqrt(2)
        assert 0.75 * hospital.noise_hu < sd < 1.25 * hospital.noise_hu, name


def test_smooth_field_has_mean_0_and_sd_1():
    """Over 400 draws at one place: 1 / sqrt(400) = .05 is the mean's standard error."""
    rng = np.random.default_rng(1)
    place = np.array([0.3], np.float32)
    values = [textures.smooth_field(rng, 1, 4)(place, place, place).item() for _ in range(400)]
    assert np.mean(values) == pytest.approx(0, abs=0.2)
    assert np.std(values) == pytest.approx(1, abs=0.15)


def test_intact_capsule_is_a_bright_rim(plain):
    """The same patient without it has the same noise, so that the difference is the rim alone."""
    intact = drawn(capsule="intact")
    number = largest(plain)
    change = intact.hounsfield[number].astype(float) - plain.hounsfield[number]
    border = plain.lesion[number] ^ ndimage.binary_erosion(plain.lesion[number])
    assert change[border].mean() > 20
    assert (change[border] > 5).mean() > 0.95
    inside = ndimage.binary_erosion(plain.lesion[number], iterations=5)
    assert not change[inside].any()


def test_non_intact_capsule_has_gaps(plain):
    broken = drawn(capsule="non_intact").hounsfield.astype(float) - plain.hounsfield
    border = plain.lesion & ~ndimage.binary_erosion(plain.lesion, np.ones((1, 3, 3)))
    assert 0.15 < (broken[border] > 5).mean() < 0.85


@pytest.mark.parametrize(
    "factor",
    [
        "fusion_lesion",
        "invasive_shape",
        "corona_low_attenuation",
        "mosaic",
        "nodule_in_nodule",
        "cirrhosis",
    ],
)
def test_factor_is_drawn(plain, factor):
    there = drawn(**{factor: True})
    number = largest(plain)
    change = there.hounsfield[largest(there)].astype(float) - plain.hounsfield[number]
    near = ndimage.binary_dilation(plain.lesion[number], iterations=4)
    assert np.abs(change[near]).max() > 10


def test_breakthrough_lies_outside_the_capsule():
    """The bud enlarges the lesion beyond the rim that is drawn around the rest."""
    whole = lesions.Lesion({**PLAIN, "capsule_breakthrough": True}, 0.0, np.random.default_rng(4))
    rest = lesions.Lesion(PLAIN, 0.0, np.random.default_rng(4))
    axis = np.linspace(-60, 60, 121, dtype=np.float32)
    plane = np.zeros(1, np.float32)
    rest.radius_mm = whole.radius_mm
    gained = (whole.depth(plane, axis, axis) > 0) & ~(rest.depth(plane, axis, axis) > 0)
    assert gained.sum() > 20


def test_corona_enhancement_has_faded_by_the_portal_phase(plain):
    there = drawn(corona_enhancement=True)
    assert np.array_equal(there.hounsfield, plain.hounsfield)


def test_missing_factors_are_not_drawn(plain):
    missing = pd.Series({**PLAIN, "mosaic": pd.NA, "fusion_lesion": None, "capsule": np.nan})
    phantom = phantoms.phantom(missing, -0.5, HOSPITALS["hospital_a"], 7)
    assert np.array_equal(phantom.hounsfield, plain.hounsfield)


def test_higher_latent_looks_worse():
    """Expected, by the module's table: roughness x 1.73 a unit, half of that at the loading .9."""
    seeds = range(200)
    low, high = (
        [lesions.look(latent, np.random.default_rng(seed)) for seed in seeds]
        for latent in (-1.0, 1.0)
    )
    for channel, sign in (("margin", 1), ("texture_hu", 1), ("halo_hu", 1), ("necrosis_above", -1)):
        change = [
            sign * (getattr(b, channel) - getattr(a, channel))
            for a, b in zip(low, high, strict=True)
        ]
        assert min(change) > 0, channel
    ratio = np.median([b.margin / a.margin for a, b in zip(low, high, strict=True)])
    assert ratio == pytest.approx(np.exp(0.55 * 0.9 * 2), rel=0.02)


def test_look_follows_the_latent_with_its_loading():
    """Corr(log margin, latent) is .9 up to its standard error, (1 - .81) / sqrt(2000) = .004."""
    rng = np.random.default_rng(5)
    latent = rng.standard_normal(2000)
    texture = np.log([lesions.look(value, rng).texture_hu for value in latent])
    below = texture < np.log(25) - 1e-9  # the greatest are cut off at 25 HU
    found = np.corrcoef(latent[below], texture[below])[0, 1]
    assert found == pytest.approx(lesions.LOADING, abs=0.02)


def test_aggressive_look_is_rougher_and_less_even():
    """On the pictures: SD inside and perimeter against area, median over five patients."""
    calm = [drawn(latent=-2.0, seed=seed) for seed in range(5)]
    wild = [drawn(latent=2.0, seed=seed) for seed in range(5)]
    assert np.median([_uneven(p) for p in wild]) > 1.5 * np.median([_uneven(p) for p in calm])
    assert np.median([_rough(p) for p in wild]) > 1.2 * np.median([_rough(p) for p in calm])


def _uneven(phantom):
    return phantom.hounsfield[phantom.lesion].std()


def _rough(phantom):
    mask = phantom.lesion[largest(phantom)]
    border = (mask & ~ndimage.binary_erosion(mask)).sum()
    return border / np.sqrt(mask.sum())


def test_a_small_lesion_at_the_surface_is_not_lost_in_the_wall():
    """Study 7 of 60: patient A006, 10 mm at the surface, was once drawn wholly in the wall."""
    everyone, truth = patients.make(60, 7)
    row = everyone.set_index("patient_id", drop=False).loc["A006"]
    latent = float(truth.set_index("patient_id").loc["A006", "image_latent"])
    drawn = phantoms.phantom(row, latent, HOSPITALS["hospital_a"], study.own_seed(7, "A006"))
    across = max(map(phantoms.longest, drawn.lesion)) * drawn.pixel_spacing_mm
    assert across == pytest.approx(row["diameter_mm"], rel=0.1)
