"""Portal-venous CT of the abdomen around a patient's target lesion, drawn from the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hcc_utils.demo import vessels
from hcc_utils.demo.anatomy import Abdomen, Habitus, cover, off_limits
from hcc_utils.demo.hospitals import Hospital
from hcc_utils.demo.lesions import Lesion, Patient, has, longest
from hcc_utils.demo.textures import Array, ct_noise

MOST_SLICES = 25
_MARGIN_SLICES = 3
_FAR_OUTSIDE_MM = -1e3
_LEAST_MARGIN_SLICES = 2
_PEAK_PER_MM = {"B20": 0.16, "B30": 0.19, "FC08": 0.19, "STANDARD": 0.21, "B40": 0.26}
_LOBES = {"right": (-150.0, -36.0), "left": (-8.0, 80.0), "cross": (-36.0, -8.0)}
_LOWEST_HU, _HIGHEST_HU = -1024, 2047


@dataclass(frozen=True)
class Phantom:
    """A series and its lesion; axes (z, y, x): up, back, to the patient's left."""

    hounsfield: npt.NDArray[np.int16]  # (n_slices, 320, 320)
    lesion: npt.NDArray[np.bool_]  # (n_slices, 320, 320)
    z_mm: Array  # (n_slices,), ascending
    y_mm: Array
    x_mm: Array

    @property
    def pixel_spacing_mm(self) -> float:
        """From one pixel to the next."""
        return round(float(self.x_mm[1] - self.x_mm[0]), 4)

    @property
    def slice_spacing_mm(self) -> float:
        """From one slice to the next."""
        return round(float(self.z_mm[1] - self.z_mm[0]), 4)


def phantom(patient: Patient, image_latent: float, hospital: Hospital, seed: int) -> Phantom:
    """
    The CT of one patient, a function of its arguments alone.

    The lesion's longest in-plane diameter is the table's. Its slices have three more on either
    side; where that were more than `MOST_SLICES` the margin shrinks to two, and beyond that every
    second (third) slice is left out, so that the whole lesion is there, as archives keep it.
    Lesions over about 150 mm are longer than the liver is wide: they lie along it, as flat as it
    is deep, press it outwards and end at wall, spine and aorta.

    Parameters
    ----------
    patient : Mapping or pandas.Series
        One row with the vocabulary's columns; factors that are missing are not drawn.
    image_latent : float
        What CT shows beyond the factors, standard normal over patients (`lesions`).
    hospital : Hospital
        Whose scanner.
    seed : int
        Equal seeds give equal phantoms.

    Returns
    -------
    Phantom
        Hounsfield units and the lesion's mask.
    """
    streams = np.random.default_rng(seed).spawn(4)
    lesion = Lesion(patient, image_latent, streams[0])
    middle = (hospital.pixels - 1) / 2
    axis = ((np.arange(hospital.pixels) - middle) * hospital.pixel_spacing_mm).astype(np.float32)
    habitus = _habitus(patient, hospital, lesion.diameter_mm, streams[1])
    abdomen = Abdomen(habitus, axis, streams[1])
    centre, z, depth = _placed(patient, lesion, abdomen, hospital, axis, streams[2])
    confined = max(map(longest, depth > 0)) * hospital.pixel_spacing_mm
    if confined < 0.97 * lesion.diameter_mm:  # what a wall or the aorta took, it gains elsewhere
        lesion.radius_mm *= min(lesion.diameter_mm / confined, 1.2)
        depth = _lesion_depth(lesion, centre, z, axis, abdomen)
    hu, liver = _abdomen(abdomen, z, depth)
    _paint_vessels(hu, liver, (z, axis, axis), habitus, streams[2])
    _paint_lesion(hu, depth, liver, lesion, centre, (z, axis, axis), habitus)
    _paint_table(hu, axis)
    hu += _noise(hospital, len(z), axis, streams[3])
    hu[:, np.hypot(axis[:, None], axis[None, :]) > axis[-1]] = _LOWEST_HU  # not reconstructed
    rounded = np.clip(np.rint(hu), _LOWEST_HU, _HIGHEST_HU).astype(np.int16)
    return Phantom(rounded, depth > 0, z, axis, axis)


def _habitus(
    patient: Patient, hospital: Hospital, diameter_mm: float, rng: np.random.Generator
) -> Habitus:
    """The patient's build, within the scanner's field of view, and the contrast that kVp gives."""
    widest = (hospital.pixels * hospital.pixel_spacing_mm / 2 - 6) / 158
    usual = 0.95 if patient.get("sex") == "female" else 1.0
    build = 1.08 if diameter_mm > 130 else rng.normal(usual, 0.04)
    return Habitus(
        scale=float(np.clip(build, 0.86, min(widest, 1.1))),
        fat_mm=float(np.clip(rng.normal(13, 4), 6, 22)),
        iodine=float(120 / hospital.kvp * np.clip(rng.normal(1, 0.06), 0.85, 1.15)),
        cirrhosis=has(patient, "cirrhosis"),
    )


def _placed(
    patient: Patient,
    lesion: Lesion,
    abdomen: Abdomen,
    hospital: Hospital,
    axis: Array,
    rng: np.random.Generator,
) -> tuple[tuple[float, float, float], Array, Array]:
    """The lesion's centre, the slices' heights and its depth, some of it inside the body."""
    for deeper_mm in (0, 4, 8, 16, 32):  # a small lesion at the surface may lie beyond the wall
        centre = _centre(patient, lesion, abdomen, deeper_mm, rng)
        z = _heights(centre[2], lesion.half_height_mm, hospital.slice_spacing_mm)
        depth = _lesion_depth(lesion, centre, z, axis, abdomen)
        if (depth > 0).any():
            break
    return centre, z, depth


def _centre(
    patient: Patient, lesion: Lesion, abdomen: Abdomen, deeper_mm: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """A place (x, y, z) in the lobe, as deep in the liver as the table says or deeper."""
    size = float(np.clip((lesion.diameter_mm - 60) / 60, 0, 1))
    z = float((1 - size) * rng.uniform(-15, 35) + size * 10)
    low, high = _LOBES.get(str(patient.get("lobe")), _LOBES["right"])
    x = rng.uniform(low, high, 600).astype(np.float32)
    y = rng.uniform(-100, 90, 600).astype(np.float32)
    radius = lesion.diameter_mm / 2
    wanted = deeper_mm + (0.8 * radius if has(patient, "at_surface") else radius + 8)
    scale = abdomen.habitus.scale
    depth = abdomen.liver(x, y, z)
    room = -off_limits(x, y, z) - radius
    best = int(np.argmin(np.abs(depth - wanted) - np.minimum(room, 0)))
    along = max(0.0, min(1.0, (lesion.diameter_mm - 110) / 50))
    place = (1 - along) * np.array((x[best], y[best])) + along * np.array((-26.0, -20.0))
    return float(place[0] * scale), float(place[1] * scale), z


def _heights(centre: float, half_height_mm: float, spacing_mm: float) -> Array:
    """Heights of the slices, one of them through the lesion's centre."""
    most = MOST_SLICES // 2
    reach = 1.1 * half_height_mm
    step = spacing_mm * max(1, int(np.ceil(reach / spacing_mm / (most - _LEAST_MARGIN_SLICES))))
    half = min(int(np.ceil(reach / step)) + _MARGIN_SLICES, most)
    heights: Array = (round(centre, 1) + step * np.arange(-half, half + 1)).astype(np.float32)
    return heights


def _lesion_depth(
    lesion: Lesion, centre: tuple[float, float, float], z: Array, axis: Array, abdomen: Abdomen
) -> Array:
    """Depth inside the lesion in mm, ending at wall, spine and aorta; far below 0 elsewhere."""
    depth = np.full((len(z), len(axis), len(axis)), _FAR_OUTSIDE_MM, np.float32)
    box, places = _around(lesion, centre, z, axis)
    inside = lesion.depth(*places)
    for number, height in enumerate(z.tolist()):
        if inside[number].max() > 0:
            x, y = (place[box[1:]] for place in abdomen.places(height))
            room = np.minimum(abdomen.cavity(x, y, height), -off_limits(x, y, height))
            inside[number] = np.minimum(inside[number], room - 3)
    parts, number_of_parts = ndimage.label(inside > 0)
    if number_of_parts > 1:  # specks that roughness cut off are no part of the lesion
        whole = np.argmax(np.bincount(parts.ravel())[1:]) + 1
        specks = ndimage.binary_dilation((parts > 0) & (parts != whole), np.ones((1, 3, 3)), 3)
        inside[specks & (parts != whole)] = _FAR_OUTSIDE_MM
    inside[[0, -1]] = np.minimum(inside[[0, -1]], -2)  # nor does a spur leave the series
    depth[box] = inside
    return depth


def _around(
    lesion: Lesion, centre: tuple[float, float, float], z: Array, axis: Array
) -> tuple[tuple[slice, slice, slice], tuple[Array, Array, Array]]:
    """The box of pixels that lesion and halo can reach, and its places from the centre in mm."""
    reach = 0.75 * lesion.diameter_mm + 14
    x, y = axis - np.float32(centre[0]), axis - np.float32(centre[1])
    rows = slice(*np.searchsorted(y, (-reach, reach)))
    columns = slice(*np.searchsorted(x, (-reach, reach)))
    return (slice(None), rows, columns), (z - np.float32(centre[2]), y[rows], x[columns])


def _abdomen(abdomen: Abdomen, z: Array, depth: Array) -> tuple[Array, Array]:
    """All slices without the lesion, and the liver's depth."""
    hu, liver = np.empty_like(depth), np.empty_like(depth)
    for number, height in enumerate(z.tolist()):
        hu[number], liver[number] = abdomen.paint(height, depth[number])
    return hu, liver


def _paint_vessels(
    hu: Array,
    liver: Array,
    places: tuple[Array, Array, Array],
    habitus: Habitus,
    rng: np.random.Generator,
) -> None:
    """Portal vein and hepatic veins."""
    vessels.paint(hu, liver, places, vessels.hepatic(rng), 45 + 110 * habitus.iodine)
    vessels.paint(hu, liver, places, vessels.portal(rng), 45 + 125 * habitus.iodine)


def _paint_lesion(
    hu: Array,
    depth: Array,
    liver: Array,
    lesion: Lesion,
    centre: tuple[float, float, float],
    places: tuple[Array, Array, Array],
    habitus: Habitus,
) -> None:
    """The lesion in its box."""
    box, from_centre = _around(lesion, centre, places[0], places[1])
    lesion.paint(hu[box], depth[box], liver[box], from_centre, habitus)


def _paint_table(hu: Array, axis: Array) -> None:
    """The couch under the patient."""
    sag = 142 - 0.0009 * np.square(axis)
    below = 1.6 - np.abs(axis[:, None] - sag[None, :])
    for sheet in hu:
        cover(sheet, np.where(np.abs(axis)[None, :] < 165, below, -9), 150.0)


def _noise(hospital: Hospital, slices: int, axis: Array, rng: np.random.Generator) -> Array:
    """The scanner's noise, strongest in the middle of the body."""
    shape = (slices, hospital.pixels, hospital.pixels)
    noise = ct_noise(rng, shape, hospital.pixel_spacing_mm, _PEAK_PER_MM[hospital.kernel])
    distance2 = np.square(axis)[:, None] + np.square(axis)[None, :]
    share = 0.25 + 0.85 * np.exp(-distance2 / (2 * 110**2))
    noise *= (hospital.noise_hu * share).astype(np.float32)
    return noise
