"""Rays from a seed: nothing depends on where the count of rays begins, and evidence is by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hcc_utils.imaging import rays

RADIUS_MM = 20.0
SHAPE = (rays.POLAR, rays.AROUND, rays.STEPS)


def sampled(radius, *, inside=60.0, outside=110.0, noise_hu=0.0):
    """Values that change at a radius, a number or one for each ray, in units of the rough one."""
    hu = np.where(rays.along() < np.broadcast_to(radius, SHAPE[:2])[..., None], inside, outside)
    hu = hu + np.random.default_rng(0).normal(0, noise_hu, SHAPE)
    return rays.Sampled(hu, hu, np.ones(SHAPE, bool))


@pytest.mark.parametrize("radius", [0.6, 0.8, 1.0])
def test_a_sphere_is_found(radius):
    """Within a tenth of the rough radius, on each ray."""
    assert rays.surface(sampled(radius), RADIUS_MM) == pytest.approx(
        np.full(SHAPE[:2], radius), abs=0.1
    )


def test_rays_have_no_first_and_no_last():
    """The same picture turned around or upside down gives the same surface, turned alike."""
    around = 0.8 + 0.15 * np.sin(np.arange(rays.AROUND) / rays.AROUND * 2 * np.pi)
    picture = sampled(around[None, :] + 0.1 * rays.directions()[2, :, :, 0], noise_hu=10)
    found = rays.surface(picture, RADIUS_MM)
    turned = rays.Sampled(*(np.roll(each, 17, axis=1) for each in picture))
    assert rays.surface(turned, RADIUS_MM) == pytest.approx(np.roll(found, 17, axis=1), abs=1e-9)
    upside_down = rays.Sampled(*(each[::-1] for each in picture))
    assert rays.surface(upside_down, RADIUS_MM) == pytest.approx(found[::-1], abs=1e-9)


def test_the_evidence_of_a_rise_is_tanh_of_its_15_hu():
    """1 HU a mm outwards is 3 HU within 3 mm wherever it is taken: tanh(3 / 15), by hand."""
    hu = np.broadcast_to(rays.along() * RADIUS_MM + 60, SHAPE)
    evidence = rays.evidence(rays.Sampled(hu, hu, np.ones(SHAPE, bool)), RADIUS_MM)
    middle = evidence[:, :, 20:36, rays.EVIDENCE.index("rise_at_-4.5_mm") :][..., :14]
    assert middle == pytest.approx(np.tanh(0.2), abs=1e-6)


def test_the_evidence_of_distance_is_a_polynomial():
    """At 1.1 of a radius of 30 e mm: 1, 1, 1 for (1.1 - .8) / .3 = 1, and log(e) times these."""
    hu = np.full(SHAPE, 80.0)
    evidence = rays.evidence(rays.Sampled(hu, hu, np.ones(SHAPE, bool)), 30 * np.e)
    place = np.abs(rays.along() - 1.1).argmin()
    far = (rays.along()[place] - 0.8) / 0.3
    expected = [far, far**2, far**3]
    first = rays.EVIDENCE.index("far1")
    assert evidence[3, 5, place, first : first + 6] == pytest.approx(expected + expected)


def test_contrast_is_the_difference_that_was_drawn():
    surface = np.full(SHAPE[:2], 0.8)
    assert rays.contrast_hu(sampled(0.8), surface, RADIUS_MM) == pytest.approx(-50)


def test_without_tissue_around_there_is_no_contrast_and_still_a_surface():
    """A lesion in air: nothing to compare with."""
    alone = sampled(0.8, outside=-1000)
    assert rays.contrast_hu(alone, np.full(SHAPE[:2], 0.8), RADIUS_MM) == 0
    assert rays.surface(alone, RADIUS_MM).max() < 1


def test_every_evidence_has_weights():
    """A line of the table for each, in whatever order."""
    direct, hidden, offset, out = rays._weights()
    assert len(direct) == len(hidden) == len(rays.EVIDENCE)
    assert hidden.shape[1] == len(offset) == len(out)
