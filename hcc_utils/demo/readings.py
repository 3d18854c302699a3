"""Two radiologists read each semantic factor, and a third decides where they disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils.checks import Floats
from hcc_utils.evaluation.agreement import DISPUTED
from hcc_utils.study import vocabulary

AGREEMENT: dict[str, float] = {
    "fusion_lesion": 0.95,
    "invasive_shape": 0.92,
    "capsule": 0.94,
    "capsule_breakthrough": 0.92,
    "corona_enhancement": 0.93,
    "corona_low_attenuation": 0.92,
    "mosaic": 0.96,
    "nodule_in_nodule": 0.94,
    "enhancement_ratio": 0.975,
}
"""The intra-class correlation of the two readers that is aimed at; the paper's are .892 to .986."""

_LEVELS: tuple[object, ...] = vocabulary.VARIABLES["capsule"].levels


def add(patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """
    The patients with each semantic factor also as each reader saw it.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, with the nine factors.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    pandas.DataFrame
        With ``<factor>_r1``, ``<factor>_r2`` and, where these disagree, ``<factor>_adjudicated``.
        The factor itself is the decision of two of the three. At most one of two readers errs in
        a patient, and the third sees what is there: the decision on a present or absent factor
        is what the truth was made from. The enhancement ratio becomes the mean of the two
        readings, or of the two nearest of three.
    """
    read = patients.copy()
    for name, agreement in AGREEMENT.items():
        if name == "enhancement_ratio":
            readings = _ratios(patients[name].to_numpy(float), agreement, rng)
            read[name] = readings.pop("decided")
        else:
            readings = _levels(patients[name], agreement, rng)
        for reader, values in readings.items():
            read[f"{name}_{reader}"] = values
    return read


def _levels(factor: pd.Series, agreement: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """
    Readings of a factor in levels: as many patients are disputed as the agreement allows.

    With levels coded 0, 1, 2 and d disputes of one step among n, the mean square between readers
    is d / n, so that the correlation is 1 - d / (2 n variance).
    """
    levels = _LEVELS if factor.name == "capsule" else (False, True)
    code = factor.map(levels.index).to_numpy(int)
    disputes = round((1 - agreement) * 2 * float(code.var()) * len(code))
    disputed = rng.permutation(len(code)) < disputes
    step = np.where(code == 0, 1, np.where(code == len(levels) - 1, -1, rng.choice([-1, 1])))
    first_errs = rng.random(len(code)) < 0.5
    seen = np.array(levels, dtype=object)
    return {
        "r1": seen[code + step * (disputed & first_errs)],
        "r2": seen[code + step * (disputed & ~first_errs)],
        "adjudicated": np.where(disputed, seen[code], None),
    }


def _ratios(ratio: Floats, agreement: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Three readings of a ratio with normal errors, and what is decided from them."""
    error = np.sqrt((1 - agreement) / agreement) * ratio.std()
    r1, r2, third = (ratio + error * rng.standard_normal((3, len(ratio)))).clip(0.5, 5).round(2)
    ordered = np.sort([r1, r2, third], axis=0)
    nearest = np.where(
        ordered[1] - ordered[0] <= ordered[2] - ordered[1],
        ordered[0] + ordered[1],
        ordered[1] + ordered[2],
    )
    disputed = np.abs(r1 - r2) > DISPUTED * (r1 + r2) / 2
    return {
        "r1": r1,
        "r2": r2,
        "adjudicated": np.where(disputed, third, np.nan),
        "decided": (np.where(disputed, nearest, r1 + r2) / 2).round(3),
    }
