"""Pictures with and without text, for what looks for names burned into pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage


def scout(rows: int = 256, columns: int = 320, seed: int = 1) -> np.ndarray:
    """A localizer in stored values: a body with a spine and ribs, and a scanner's noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    body = 900.0 * (np.abs(x - columns / 2) < columns / 3)
    spine = 700.0 * (np.abs(x - columns / 2) < 12) * (0.8 + 0.2 * np.sin(y / 5))
    ribs = 250.0 * (np.sin(y / 7 + np.abs(x - columns / 2) / 40) > 0.6) * (body > 0)
    picture = ndimage.gaussian_filter(body + spine + ribs, 1.5) + rng.normal(0, 12, body.shape)
    return np.rint(picture)


def written(
    picture: np.ndarray,
    text: str,
    *,
    size: int = 14,
    soft: bool = False,
    value: float | None = None,
) -> np.ndarray:
    """A picture with a line of text, by default in its highest value (or 1 more than a flat 0)."""
    layer = Image.new("L", picture.shape[::-1], 0)
    pen = ImageDraw.Draw(layer)
    pen.fontmode = "L" if soft else "1"
    pen.text((6, 6), text, fill=255, font=ImageFont.load_default(size))
    ink = np.asarray(layer) / 255
    top = max(float(picture.max()), 1000.0) if value is None else value
    return np.rint(picture * (1 - ink) + top * ink)
