"""The picture atlas of the page on reading is what the demo draws.

`python tests/test_atlas.py` writes book/_static/atlas/ anew.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.demo.phantoms import Phantom, phantom
from hcc_utils.study import vocabulary

BOOK = Path(__file__).parents[1] / "book"
PAGE = (BOOK / "reading.md").read_text("utf-8")
PATIENT = {"sex": "male", "diameter_mm": 60.0, "lobe": "right", "capsule": "absent"}
LATENT, SEED = -1.0, 5
LOW_HU, HIGH_HU = 0, 180
HALF_PIXELS, ENLARGED, STRIP, GAP, BAR_MM = 40, 2, 18, 4, 20
SHADES = 32

PRESENT = {
    name: {"absent": {}, "present": {name: True}}
    for name in (
        *("fusion_lesion", "invasive_shape", "corona_low_attenuation"),
        *("mosaic", "nodule_in_nodule"),
    )
}
LOOKS = PRESENT | {
    "capsule": {level: {"capsule": level} for level in vocabulary.VARIABLES["capsule"].levels},
    "capsule_breakthrough": {
        "absent": {"capsule": "intact"},
        "present": {"capsule": "intact", "capsule_breakthrough": True},
    },
    "enhancement_ratio": {f"{r}": {"enhancement_ratio": r} for r in (1.2, 2.2)},
}
BUDS = ("invasive_shape", "capsule_breakthrough")  # they grow at a height of their own


@cache
def drawn(**look: object) -> Phantom:
    """The patient with such a lesion; all else is the same."""
    return phantom(PATIENT | look, LATENT, HOSPITALS["hospital_a"], SEED)


def panels(looks: dict[str, dict[str, object]], elsewhere: bool) -> list[Image.Image]:
    """The lesion's middle slice with each look, or the slice on which they differ most."""
    phantoms = [drawn(**look) for look in looks.values()]
    reach = min(len(one.z_mm) for one in phantoms) // 2
    slices = [one.hounsfield[len(one.z_mm) // 2 - reach :][: 2 * reach + 1] for one in phantoms]
    apart = np.abs(slices[0].astype(float) - slices[-1]).sum(axis=(1, 2))
    shown = apart.argmax() if elsewhere else reach
    return [_panel(hu[shown], _centre(phantoms[0])) for hu in slices]


def _centre(of: Phantom) -> tuple[int, int]:
    """Row and column of the lesion's middle."""
    rows, columns = np.nonzero(of.lesion.any(axis=0))
    return int(np.median(rows)), int(np.median(columns))


def _panel(hu: np.ndarray, centre: tuple[int, int]) -> Image.Image:
    """The lesion's surroundings in the window, in few shades."""
    rows, columns = (slice(at - HALF_PIXELS, at + HALF_PIXELS) for at in centre)
    share = np.clip((hu[rows, columns] - LOW_HU) / (HIGH_HU - LOW_HU), 0, 1)
    side = 2 * HALF_PIXELS * ENLARGED
    large = Image.fromarray(np.rint(255 * share).astype(np.uint8)).resize((side, side))
    step = 256 // SHADES
    return large.point(lambda grey: grey // step * step)


def picture(name: str) -> Image.Image:
    """The panels side by side, with the looks' names, a scale bar and a stamp."""
    looks, found = LOOKS[name], panels(LOOKS[name], name in BUDS)
    side = found[0].width
    whole = Image.new("L", (len(found) * (side + GAP) - GAP, side + 2 * STRIP))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(12)
    for number, (look, panel) in enumerate(zip(looks, found, strict=True)):
        left = number * (side + GAP)
        whole.paste(panel, (left, STRIP))
        pen.text((left + 4, 2), look.replace("_", "-"), fill=255, font=font)
    bar = round(BAR_MM / HOSPITALS["hospital_a"].pixel_spacing_mm * ENLARGED)
    pen.rectangle((4, side + STRIP + 8, 4 + bar, side + STRIP + 10), fill=255)
    pen.text((bar + 10, side + STRIP + 2), f"{BAR_MM} mm", fill=255, font=font)
    pen.text((whole.width - 4, side + STRIP + 2), "synthetic", fill=255, font=font, anchor="ra")
    return whole


def path_of(name: str) -> Path:
    return BOOK / "_static" / "atlas" / f"{name}.png"


def test_every_factor_is_drawn_or_the_page_says_that_it_is_not():
    assert set(LOOKS) == {factor.name for factor in vocabulary.SEMANTIC} - {"corona_enhancement"}
    assert "Corona enhancement is not drawn" in PAGE
    assert sorted(path_of("").parent.iterdir()) == sorted(map(path_of, LOOKS))


@pytest.mark.parametrize("name", LOOKS)
def test_a_picture_is_what_the_demo_draws(name):
    """A shade apart at most, where another machine rounds a Hounsfield unit otherwise."""
    ours, theirs = (np.asarray(one, int) for one in (Image.open(path_of(name)), picture(name)))
    assert ours.shape == theirs.shape
    apart = np.abs(ours - theirs)[STRIP:-STRIP]  # not the words: they are the font's
    assert apart.max() <= 256 // SHADES
    assert apart.mean() < 0.1


@pytest.mark.parametrize("name", LOOKS)
def test_the_page_shows_each_picture_and_says_it_for_the_blind(name):
    (alt,) = re.findall(rf"{{figure}} _static/atlas/{name}\.png\n:alt: (.+)", PAGE)
    assert len(alt) > 60
    assert alt.startswith("Drawn CT")


def test_together_they_are_light():
    """The offline book has 300 kB for all of them."""
    assert sum(path_of(name).stat().st_size for name in LOOKS) < 300_000


if __name__ == "__main__":
    path_of("").parent.mkdir(exist_ok=True)
    for name in LOOKS:
        picture(name).save(path_of(name), optimize=True)
