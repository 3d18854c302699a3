"""The upper abdomen without its lesion, slice by slice, in portal-venous phase."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hcc_utils.demo.textures import Array, SmoothField, smooth_field

AIR, LUNG, FAT, FLUID, MUSCLE, MARROW, BONE = -1000.0, -850.0, -103.0, 8.0, 58.0, 190.0, 480.0
_SOFT_MM = 1.4  # an edge's width: the pixel's size and the kernel's blur
_HALF_WIDTH_MM, _HALF_DEPTH_MM, _BACK_MM = 158.0, 122.0, 110.0
_WALL_MM = 9.0
_ROOM_MM = 7.0  # liver around the lesion
_STEP = 4  # pixels of the coarse grid
_BEND_MM = 5.0  # how far organs are moved from their textbook place


@dataclass(frozen=True)
class Ellipsoid:
    """A place, three half axes in mm (x, y, z) and a turn about z."""

    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    degrees: float = 0.0

    def depth(self, x: Array, y: Array, z: Array | float) -> Array:
        """
        How far inside each place lies, to first order.

        Parameters
        ----------
        x, y, z : numpy.ndarray of float
            Places, in the units of the axes; the three broadcast.

        Returns
        -------
        numpy.ndarray of float
            Negative outside, in the units of the axes.
        """
        turn = math.radians(self.degrees)
        cosine, sine = math.cos(turn), math.sin(turn)
        (wide, deep, high), right, back = self.axes, x - self.centre[0], y - self.centre[1]
        u = right * (cosine / wide) + back * (sine / wide)
        v = back * (cosine / deep) - right * (sine / deep)
        w = (z - self.centre[2]) / high
        u *= u
        v *= v
        q2 = u + v + w * w
        u *= 1 / wide**2
        v *= 1 / deep**2
        u = u + v + (w * w / high**2 + 1e-12)
        depth: Array = np.sqrt(q2)
        depth -= q2
        depth /= np.sqrt(u, out=u)
        return depth


@dataclass(frozen=True)
class Tissue:
    """What is painted: a shape, its value, and a wall of another value where it has one."""

    shape: Ellipsoid
    hu: float
    wall_hu: float | None = None
    wall_mm: float = 0.0


@dataclass
class Sheet:
    """One slice being painted: its height, its places in mm, its values in Hounsfield units."""

    z: float
    x: Array
    y: Array
    hu: Array

    def paint(self, tissue: Tissue) -> None:
        """
        Nothing; the tissue covers what was there.

        Parameters
        ----------
        tissue : Tissue
            What to paint, where it reaches this slice.
        """
        shape = tissue.shape
        if abs(self.z - shape.centre[2]) >= shape.axes[2]:
            return
        box = self._box(shape)
        depth = shape.depth(self.x[box], self.y[box], self.z)
        if tissue.wall_hu is not None:
            cover(self.hu[box], depth, tissue.wall_hu)
        cover(self.hu[box], depth - tissue.wall_mm, tissue.hu)

    def _box(self, shape: Ellipsoid) -> tuple[slice, slice]:
        """Rows and columns that the shape can reach; bent places stay in order."""
        reach = max(shape.axes[:2]) + 2
        row = self.y[:, self.y.shape[1] // 2]
        column = self.x[self.x.shape[0] // 2]
        slack = 2 * _BEND_MM
        rows = np.flatnonzero(np.abs(row - shape.centre[1]) < reach + slack)
        columns = np.flatnonzero(np.abs(column - shape.centre[0]) < reach + slack)
        if not len(rows) or not len(columns):
            return slice(0, 0), slice(0, 0)
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def cover(hu: Array, depth: Array, with_hu: Array | float) -> None:
    """
    Nothing; values are replaced where depth is positive, partly at the edge.

    Parameters
    ----------
    hu : numpy.ndarray of float
        Values in Hounsfield units, changed in place.
    depth : numpy.ndarray of float
        Depth in mm, negative outside.
    with_hu : numpy.ndarray of float or float
        The new values.
    """
    share = depth * np.float32(1 / _SOFT_MM)
    share += np.float32(0.5)
    np.clip(share, 0, 1, out=share)
    share *= with_hu - hu
    hu += share


@dataclass(frozen=True)
class Habitus:
    """What differs between patients and scanners: size, fat, contrast, cirrhosis."""

    scale: float
    fat_mm: float
    iodine: float
    cirrhosis: bool

    @property
    def grain_hu(self) -> float:
        """How uneven the liver is."""
        return 4.0 if self.cirrhosis else 2.0

    @property
    def liver_hu(self) -> float:
        """What the liver measures."""
        return 60 + (46 if self.cirrhosis else 52) * self.iodine


class Abdomen:
    """One patient's upper abdomen; places in mm, x to the patient's left, y back, z up."""

    def __init__(self, habitus: Habitus, axis: Array, rng: np.random.Generator) -> None:
        self.habitus = habitus
        self._axis = axis  # of rows and of columns
        pixel = axis[1] - axis[0]
        self._coarse = axis[0] + _STEP * pixel * np.arange(len(axis) // _STEP + 1, dtype=np.float32)
        self._bends = (smooth_field(rng, 120, 480), smooth_field(rng, 120, 480))
        self._grain = smooth_field(rng, 14, 60)
        self._knobs = smooth_field(rng, 16, 30)
        self._fat = smooth_field(rng, 90, 480)
        self._organs = _organs(habitus, rng)
        self._ribs_mm = float(rng.uniform(0, _RIB_PITCH_MM))

    def places(self, z: float) -> tuple[Array, Array]:
        """
        Textbook places (x, y) of a slice's pixels: the body's own deformation undone.

        Parameters
        ----------
        z : float
            The slice's height.

        Returns
        -------
        tuple of numpy.ndarray of float, shape (len(axis), len(axis))
            In mm.
        """
        x, y = self._places(z)
        return _finer(x), _finer(y)

    def cavity(self, x: Array, y: Array, z: float) -> Array:
        """
        Depth below the inner side of the abdominal wall and the diaphragm.

        Parameters
        ----------
        x, y : numpy.ndarray of float
            Textbook places in mm.
        z : float
            Height in mm.

        Returns
        -------
        numpy.ndarray of float
            In mm, negative outside.
        """
        wall_mm = self.habitus.fat_mm + _WALL_MM
        inside: Array = np.minimum(_skin(x, y, z) - wall_mm, _DOME.depth(x, y, z))
        return inside

    def liver(self, x: Array, y: Array, z: float) -> Array:
        """
        Depth below the liver's surface.

        Parameters
        ----------
        x, y : numpy.ndarray of float
            Textbook places in mm.
        z : float
            Height in mm.

        Returns
        -------
        numpy.ndarray of float
            In mm, negative outside.
        """
        inside: Array = np.minimum(_lobes(x, y, z), self.cavity(x, y, z))
        return inside

    def paint(self, z: float, lesion: Array) -> tuple[Array, Array]:
        """
        A slice's values and the liver in it.

        Parameters
        ----------
        z : float
            The slice's height.
        lesion : numpy.ndarray of float, shape (len(axis), len(axis))
            Depth inside the lesion in mm: the liver makes room for it, neighbours give way.

        Returns
        -------
        hu : numpy.ndarray of float, shape (len(axis), len(axis))
            Values without the lesion and without noise.
        liver : numpy.ndarray of float, shape (len(axis), len(axis))
            Depth below the liver's surface in mm.
        """
        x, y = self._places(z)
        fat, skin = _finer(self._over(self._fat, z)), _finer(_skin(x, y, z))
        lobes, dome = _lobes(x, y, z), _finer(_DOME.depth(x, y, z))
        grain = self.habitus.grain_hu * self._over(self._grain, z)
        if self.habitus.cirrhosis:
            lobes += 0.9 * self._over(self._knobs, z)
        cavity = np.minimum(skin - self.habitus.fat_mm - _WALL_MM, dome)
        sheet = Sheet(z, _finer(x), _finer(y), FAT + 6 * fat)
        for tissue in self._organs:
            sheet.paint(tissue)
        liver = np.maximum(_finer(lobes), lesion + _ROOM_MM)
        cover(sheet.hu, liver, self.habitus.liver_hu + _finer(grain))
        sheet.paint(_FISSURE)
        cover(sheet.hu, -cavity, self._wall(skin, dome, fat))
        for tissue in (*_BACK_MUSCLES, *_vessels(self.habitus), *self._ribs(z), *_SPINE):
            sheet.paint(tissue)
        return sheet.hu, np.minimum(liver, cavity)

    def _places(self, z: float) -> tuple[Array, Array]:
        """Textbook places on the coarse grid: shapes and fields are smooth, so it is enough."""
        move_x, move_y = (_BEND_MM / 2 * self._over(bend, z) for bend in self._bends)
        scale = np.float32(1 / self.habitus.scale)
        return (self._coarse[None, :] + move_x) * scale, (self._coarse[:, None] + move_y) * scale

    def _over(self, function: SmoothField, z: float) -> Array:
        """A smooth function over the coarse grid of one slice."""
        values: Array = function(np.array([z], np.float32), self._coarse, self._coarse)[0]
        return values

    def _wall(self, skin: Array, dome: Array, unevenness: Array) -> Array:
        """Air, skin, the fat under it, muscle; lung within, above the diaphragm's dome."""
        thinner: Array = np.float32(0.12 * self.habitus.fat_mm) * np.abs(unevenness)
        hu = np.full(skin.shape, AIR, np.float32)
        cover(hu, skin, 20.0)
        cover(hu, skin - 2, FAT + 4 * unevenness)
        cover(hu, skin - self.habitus.fat_mm + thinner, MUSCLE)
        cover(hu, np.minimum(skin - self.habitus.fat_mm - _WALL_MM, -dome), LUNG)
        return hu

    def _ribs(self, z: float) -> list[Tissue]:
        """The ribs that this slice cuts; each descends on its way forward."""
        a = _HALF_WIDTH_MM - self.habitus.fat_mm - 5
        b = _HALF_DEPTH_MM - self.habitus.fat_mm - 5
        found = []
        for number in range(-8, 10):
            along = (number * _RIB_PITCH_MM + self._ribs_mm - z) / _RIB_DROP_MM
            if 0.0 < along < 0.85:
                for side in (-1, 1):
                    angle = np.deg2rad(65 - 125 * along)
                    place = (side * a * np.cos(angle), b * np.sin(angle), z)
                    tangent = np.rad2deg(np.arctan2(b * np.cos(angle), -side * a * np.sin(angle)))
                    shape = Ellipsoid(place, (11.0, 4.2, 50.0), float(tangent))
                    found.append(Tissue(shape, MARROW, BONE, 1.6))
        return found


_RIB_PITCH_MM, _RIB_DROP_MM = 29.0, 130.0
_BODY = Ellipsoid((0, 0, 0), (_HALF_WIDTH_MM, _HALF_DEPTH_MM, 1500))
_DOME = Ellipsoid((-8, -10, -95), (190, 140, 195))
_RIGHT = Ellipsoid((-68, 0, 0), (86, 104, 118))
_LEFT = Ellipsoid((14, -62, 32), (82, 36, 82), -14)
_CAUDATE = Ellipsoid((-16, 4, 12), (24, 15, 38), -20)
_RETROPERITONEUM = Ellipsoid((8, 56, 0), (56, 64, 400))
_RENAL = Ellipsoid((-54, 60, -62), (33, 36, 62), -25)
_FISSURE = Tissue(Ellipsoid((-6, -70, -30), (3.5, 26, 46), 12), FAT + 15)
_VERTEBRA = Ellipsoid((0, 60, 0), (21, 16.5, 1e4))
_AORTA = Ellipsoid((10, 33, 0), (11, 11, 1e4))
_CAVA = Ellipsoid((-21, 27, 0), (13, 10, 1e4), -20)
_SPINE = (
    Tissue(Ellipsoid((0, 83, 0), (31, 4.5, 1e4)), 260.0),
    Tissue(Ellipsoid((0, 85, 0), (15, 13, 1e4)), 380.0),
    Tissue(Ellipsoid((0, 99, 0), (3.5, 9, 1e4)), 330.0),
    Tissue(_VERTEBRA, MARROW, BONE, 1.8),
    Tissue(Ellipsoid((0, 83, 0), (9.5, 8.5, 1e4)), 32.0),
)
_BACK_MUSCLES = tuple(
    Tissue(Ellipsoid((side * x, y, 0), (a, b, 1e4), side * turn), MUSCLE)
    for side in (-1, 1)
    for x, y, a, b, turn in ((29, 92, 28, 15, -12), (25, 70, 13, 10, 30))
)


def _vessels(habitus: Habitus) -> tuple[Tissue, ...]:
    """Crura, aorta, inferior vena cava; superior mesenteric artery and vein."""
    crura = (Ellipsoid((23, 43, 0), (4, 13, 1e4), 20), Ellipsoid((-5, 42, 0), (5, 11, 1e4), -25))
    return (
        *(Tissue(crus, MUSCLE + 8) for crus in crura),
        Tissue(_AORTA, 45 + 108 * habitus.iodine),
        Tissue(_CAVA, 45 + 92 * habitus.iodine),
        Tissue(Ellipsoid((9, 15, -60), (4, 4, 52)), 45 + 108 * habitus.iodine),
        Tissue(Ellipsoid((-3, 9, -58), (7, 6.5, 42)), 45 + 125 * habitus.iodine),
    )


def _organs(habitus: Habitus, rng: np.random.Generator) -> list[Tissue]:
    """Everything around the liver, in the order in which it covers."""
    spleen = 1.25 if habitus.cirrhosis else 1.0
    shift = rng.normal(0, 4, 3)
    meal = float(rng.choice([FLUID, 25.0, 300.0]))
    wall = 50 + 45 * habitus.iodine
    kidney = 40 + 145 * habitus.iodine
    stomach = Ellipsoid((62 + shift[0], -32, 22), (40, 46, 62), 20)
    gas = Ellipsoid((62 + shift[0], -62, 22), (24, 9, 40))
    found = [
        *_bowel(rng, wall),
        Tissue(Ellipsoid((22, -42, 128), (66, 50, 52), -20), 45 + 85 * habitus.iodine),
        *_mesentery(rng, 45 + 100 * habitus.iodine),
        Tissue(Ellipsoid((26, 4, -14), (42, 11, 16), -22), 45 + 52 * habitus.iodine),
        Tissue(
            Ellipsoid((104 + shift[1], 32, 18), (30 * spleen, 62, 52 * spleen), 30),
            50 + 70 * habitus.iodine,
        ),
        Tissue(stomach, meal, wall, 4.0),
        Tissue(gas, -950.0),
        Tissue(Ellipsoid((-38 + shift[2], -40, -48), (15, 24, 30), 15), FLUID, wall, 1.5),
    ]
    for side, top in ((-1, -62.0), (1, -48.0)):
        place = (side * 56.0, 58.0, top)
        found.append(Tissue(Ellipsoid(place, (27, 31, 54), side * 25), kidney))
        sinus = (side * 46.0, 51.0, top)
        found.append(Tissue(Ellipsoid(sinus, (15, 12, 32), side * 25), FAT + 20, kidney - 40, 3))
    return found


def _bowel(rng: np.random.Generator, wall: float) -> list[Tissue]:
    """Loops of colon and small bowel below the liver."""
    places = ((-70, -50, -95), (-25, -72, -85), (25, -72, -78), (75, -30, -72), (88, 0, -55))
    inner = ((52, -10, -80), (30, -35, -70), (60, 20, -100), (10, -50, -95))
    colon = [
        Tissue(Ellipsoid((x, y, z), (24, 19, 34)), float(rng.choice([-820.0, -90.0, 30.0])), 70, 3)
        for x, y, z in places
    ]
    return colon + [Tissue(Ellipsoid(at, (19, 15, 30)), 35, wall, 4) for at in inner]


def _mesentery(rng: np.random.Generator, hu: float) -> list[Tissue]:
    """Small vessels in the fat between the organs."""
    places = rng.uniform((-5, -25, -90), (75, 45, 50), (26, 3))
    radii = rng.uniform(1.6, 3.6, 26)
    turns = rng.uniform(0, 180, 26)
    return [
        Tissue(Ellipsoid((x, y, z), (r * 2.2, r, 14), turn), hu)
        for (x, y, z), r, turn in zip(places.tolist(), radii.tolist(), turns.tolist(), strict=True)
    ]


def _skin(x: Array, y: Array, z: float) -> Array:
    """Depth below the skin, the back a little flattened."""
    depth: Array = -_joined(-_BODY.depth(x, y, z), y - _BACK_MM, 20.0)
    return depth


def _lobes(x: Array, y: Array, z: float) -> Array:
    """The liver's depth as far as the wall does not confine it."""
    lobes = _joined(_RIGHT.depth(x, y, z), _LEFT.depth(x, y, z), 14.0)
    behind = _joined(_RETROPERITONEUM.depth(x, y, z), _RENAL.depth(x, y, z), 14.0)
    return _joined(np.minimum(lobes, -behind), _CAUDATE.depth(x, y, z), 6.0)


def off_limits(x: Array, y: Array, z: float) -> Array:
    """
    Depth inside what a lesion of the liver does not enter: spine and aorta.

    Parameters
    ----------
    x, y : numpy.ndarray of float
        Textbook places in mm.
    z : float
        Height in mm.

    Returns
    -------
    numpy.ndarray of float
        In mm, negative where a lesion may be.
    """
    inside: Array = np.maximum(_VERTEBRA.depth(x, y, z), _AORTA.depth(x, y, z))
    return inside


def _finer(coarse: Array) -> Array:
    """The pixels' values between those of the coarse grid, by linear interpolation."""
    share = np.arange(_STEP, dtype=np.float32)[:, None] / _STEP
    for _ in ("rows", "columns"):
        low, high = coarse[:-1, None, :], coarse[1:, None, :]
        coarse = (low + share * (high - low)).reshape(-1, coarse.shape[1]).T
    return np.ascontiguousarray(coarse)


def _joined(one: Array, other: Array, blend_mm: float) -> Array:
    """The greater of two depths, with a rounded crease."""
    near = np.clip(blend_mm - np.abs(one - other), 0, None)
    joined: Array = np.maximum(one, other) + near**2 / (4 * blend_mm)
    return joined
