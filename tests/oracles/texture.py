"""Writes texture.json: a picture drawn here, and scikit-image's texture of the ellipse in it.

Run in an environment of its own: pip install scikit-image; python texture.py, in this folder.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import skimage
from skimage.feature import graycomatrix, graycoprops

SIDE, LEVELS = 24, 14
NAMES = {
    "contrast": "glcm_contrast",
    "correlation": "glcm_correlation",
    "homogeneity": "glcm_homogeneity",
    "energy": "glcm_energy",
}
# rows and columns of the box in mm, and the other pixel of each pair at 2 mm and 0, 45, 90, 135
# degrees: sqrt(2) mm down and across where it is oblique, in pixels of 1 mm, or of 1 x 0.5 mm
CASES = {
    "square": (24, 24, [(0, 2), (1, 1), (2, 0), (1, -1)]),
    "narrow": (24, 12, [(0, 4), (1, 3), (2, 0), (1, -3)]),
}

draw = np.random.default_rng(2)
smooth = np.add.outer(np.sin(np.arange(SIDE) / 4), np.cos(np.arange(SIDE) / 5)) * 60
picture = np.rint(90 + smooth + draw.normal(0, 40, (SIDE, SIDE))).astype(int)
middle = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
inside = np.add.outer(middle**2, middle**2) <= 1
# levels of 25 HU from -100 to 250, 1 to 14; 0 outside the ellipse
levels = np.clip(np.floor((picture + 100) / 25).astype(int), 0, LEVELS - 1) + 1
levels = np.where(inside, levels, 0)


def texture(offsets: list[tuple[int, int]]) -> dict[str, float]:
    """Of one matrix over all offsets, both ways round."""
    counts = np.zeros((LEVELS + 1, LEVELS + 1, 1, 1))
    for down, across in offsets:
        distance, angle = np.hypot(down, across), np.arctan2(down, across)
        counts += graycomatrix(levels, [distance], [angle], LEVELS + 1, symmetric=True)
    inner = counts[1:, 1:]
    found = {ours: float(graycoprops(inner, theirs)[0, 0]) for theirs, ours in NAMES.items()}
    share = inner.ravel() / inner.sum()
    share = share[share > 0]
    return found | {"glcm_entropy_bits": float(-(share * np.log2(share)).sum())}


content = {
    "versions": {"scikit-image": skimage.__version__, "numpy": np.__version__},
    "picture_hu": picture.tolist(),
    "cases": {
        name: {"rows_px": rows, "columns_px": columns, "texture": texture(offsets)}
        for name, (rows, columns, offsets) in CASES.items()
    },
}
Path("texture.json").write_text(json.dumps(content) + "\n", "utf-8")
