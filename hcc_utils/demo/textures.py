"""Random functions of place: smooth ones for shapes and tissue, and the noise of a CT scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float32]
_WAVES = 32


@dataclass(frozen=True)
class SmoothField:
    """A random smooth function of place, mean 0 and SD 1: a sum of waves in all directions."""

    waves: Array  # (n_waves, 3): cycles per unit along z, y, x, times 2 pi
    phases: Array  # (n_waves,)

    def __call__(self, z: Array, y: Array, x: Array) -> Array:
        """
        The function's values on a grid.

        Parameters
        ----------
        z, y, x : numpy.ndarray of float, one-dimensional
            The grid's places along each axis.

        Returns
        -------
        numpy.ndarray of float, shape (len(z), len(y), len(x))
            Unitless.
        """
        along_z, along_y, along_x = (
            np.outer(axis, wave) for axis, wave in zip((z, y, x), self.waves.T, strict=True)
        )
        rows = along_y[None] + (along_z + self.phases)[:, None]
        # cos(a + b) = cos a cos b - sin a sin b, summed over the waves; einsum and not a product of
        # matrices, whose last digits would follow the number of BLAS threads
        left = np.concatenate((np.cos(rows), np.sin(rows)), axis=2)
        right = np.concatenate((np.cos(along_x), -np.sin(along_x)), axis=1)
        values: Array = np.einsum("zyw,xw->zyx", left, right)
        return values * np.float32(np.sqrt(2 / len(self.phases)))


def smooth_field(rng: np.random.Generator, shortest: float, longest: float) -> SmoothField:
    """
    A smooth function, drawn at random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    shortest, longest : float
        The lengths of its waves, in the units of the grid.

    Returns
    -------
    SmoothField
        The function.
    """
    directions = rng.standard_normal((_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cycles = rng.uniform(1 / longest, 1 / shortest, (_WAVES, 1))
    phases = rng.uniform(0, 2 * np.pi, _WAVES)
    waves = 2 * np.pi * cycles * directions
    return SmoothField(waves.astype(np.float32), phases.astype(np.float32))


def ct_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], pixel_mm: float, peak_per_mm: float
) -> Array:
    """
    Noise as filtered back-projection leaves it in slices, SD 1.

    The noise power spectrum rises with frequency, as the ramp filter does, up to the peak and
    falls beyond it as the kernel does: f exp(-(f / f0)^2 / 2), greatest at f = f0.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    shape : tuple of int
        Slices, rows, columns; slices are independent.
    pixel_mm : float
        Pixel spacing.
    peak_per_mm : float
        The spatial frequency at which the spectrum is greatest; higher for sharper kernels.

    Returns
    -------
    numpy.ndarray of float, shape (n_slices, n_rows, n_columns)
        Unitless.
    """
    slices, rows, columns = shape
    f = np.hypot(fft.fftfreq(rows, pixel_mm)[:, None], fft.rfftfreq(columns, pixel_mm))
    amplitude = np.sqrt(f * np.exp(-0.5 * (f / peak_per_mm) ** 2)).astype(np.float32)
    parts = rng.standard_normal((slices, *amplitude.shape, 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0] * amplitude
    noise: Array = fft.irfft2(spectrum, s=(rows, columns))
    noise /= noise.std()
    return noise
