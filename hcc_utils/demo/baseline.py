"""The demo's patients before treatment: who they are, and what a radiologist finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from scipy.stats import norm, truncnorm

from hcc_utils.checks import Bools, Floats
from hcc_utils.demo.margins import CELLS, Margins
from hcc_utils.demo.truth import exactly

_SPREAD = 0.6  # of the logarithm of the diameter
_MISSING_RATIOS = 0.03

Words = npt.NDArray[np.str_]

# Each factor's loadings on an unseen invasiveness, on the logarithm of the size and on the image
# latent. Loadings on the latter stay at or below .15: CT must show something that no factor does.
LOADINGS = pd.DataFrame.from_dict(
    {
        "fusion_lesion": (0.45, 0.30, 0.10),
        "invasive_shape": (0.60, 0.25, 0.15),
        "capsule": (-0.50, -0.10, -0.10),
        "capsule_breakthrough": (0.50, 0.25, 0.10),
        "corona_enhancement": (0.40, 0.15, 0.10),
        "corona_low_attenuation": (0.45, 0.15, 0.15),
        "mosaic": (0.20, 0.45, 0.05),
        "nodule_in_nodule": (0.30, 0.20, 0.10),
        "enhancement_ratio": (0.20, -0.15, 0.00),
    },
    orient="index",
    columns=["invasiveness", "size", "image"],
)
CORRELATION = LOADINGS @ LOADINGS.T + np.diag(1 - (LOADINGS**2).sum(axis=1))
"""The correlation of the factors' latents, before each is cut into present and absent."""

PREVALENCE = {
    "fusion_lesion": 0.25,
    "invasive_shape": 0.35,
    "capsule_breakthrough": 0.45,  # among those whose capsule is not intact, and nowhere else
    "corona_enhancement": 0.20,
    "corona_low_attenuation": 0.25,
    "mosaic": 0.45,
    "nodule_in_nodule": 0.25,
}
CAPSULE_CUTS = (0.30, 0.70)  # 30 % have none, 40 % one that is not intact, 30 % an intact one

_RANGES_MM: dict[str, tuple[float, float]] = {
    "0 single": (0, 20),
    "A single": (20.1, 50),
    "A few": (10, 30),
    "AB single": (50.1, 400),
    "B few": (30.1, 400),
    "B many": (10, 400),
}
_AFP_NG_ML: dict[str, tuple[float, float]] = {
    "<25": (1, 24.9),
    "25-400": (25, 400),
    ">400": (400.1, 60500),
}


def patients(margins: Margins, image_latent: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """
    Patients with exactly these margins, as far as they are known on the day of treatment.

    Parameters
    ----------
    margins : Margins
        What their counts are.
    image_latent : numpy.ndarray of float, shape (n_patients,)
        What CT shows.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    pandas.DataFrame
        One row a patient: clinical and semantic columns, those of eligibility, no outcome.
    """
    n = margins.patients
    cells = np.repeat(list(margins.cells), list(margins.cells.values()))
    size_mm = _diameters(cells, margins, rng)
    size = _standardised(np.log(size_mm))
    invasiveness = rng.standard_normal(n)
    stage = np.array([CELLS[cell][0] for cell in cells])
    cirrhosis = rng.standard_normal(n)
    beyond_a = _standardised(np.isin(stage, ["AB", "B"]).astype(float))
    tace = _highest(margins.tace, 0.6 * beyond_a + rng.standard_normal(n))
    return pd.DataFrame(
        {
            "age_years": _ages(margins, rng),
            "sex": np.where(_highest(margins.male, rng.standard_normal(n)), "male", "female"),
            "treatment": np.where(tace, "tace", "resection"),
            "hbv": _highest(margins.hbv, rng.standard_normal(n)),
            "cirrhosis": _highest(margins.cirrhosis, cirrhosis),
            "child_pugh": np.where(
                _highest(margins.child_pugh_b, 0.5 * cirrhosis + rng.standard_normal(n)), "B", "A"
            ),
            "bclc": stage,
            "diameter_mm": size_mm,
            "largest_nodule_mm": size_mm,
            "lesion_count": _lesion_counts(cells, margins, rng),
            "afp_ng_ml": _afp(0.4 * invasiveness + 0.3 * size, margins, rng),
            "neutrophil_to_lymphocyte": _neutrophil_to_lymphocyte(n, rng),
            "lobe": rng.choice(["right", "left", "cross"], n, p=[0.62, 0.25, 0.13]),
            "at_surface": rng.random(n) < norm.cdf(0.15 + 0.4 * size),
            **_factors(latents(invasiveness, size, image_latent, rng)),
            "irregular_follow_up": False,
            "other_cancer": False,
            "margin": pd.Series("negative", index=range(n)).mask(tace),
            "baseline_spread": False,
            "has_ct": True,
            "diagnosis_basis": np.where(tace & (rng.random(n) < 0.8), "clinical", "pathological"),
            "months_scan_to_treatment": rng.gamma(2, 0.18, n).round(1),
        }
    )


def latents(
    invasiveness: Floats, size: Floats, image_latent: Floats, rng: np.random.Generator
) -> pd.DataFrame:
    """
    The nine factors as continuous latents, each of variance 1, correlated as `CORRELATION`.

    Parameters
    ----------
    invasiveness : numpy.ndarray of float, shape (n_patients,)
        A standard normal that no table and no image shows by itself.
    size : numpy.ndarray of float, shape (n_patients,)
        Standardised logarithm of the diameter.
    image_latent : numpy.ndarray of float, shape (n_patients,)
        What CT shows.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    pandas.DataFrame
        One row a patient, one column a factor.
    """
    shared = np.column_stack([invasiveness, size, image_latent]) @ LOADINGS.to_numpy().T
    own = np.sqrt(1 - (LOADINGS**2).sum(axis=1)).to_numpy()
    return pd.DataFrame(
        shared + own * rng.standard_normal(shared.shape), columns=list(LOADINGS.index)
    )


def _factors(latent: pd.DataFrame) -> dict[str, npt.ArrayLike]:
    """The latents cut at fixed heights; a breakthrough needs a capsule that is not intact."""
    cut = norm.ppf(CAPSULE_CUTS)
    capsule = np.select(
        [latent["capsule"] < cut[0], latent["capsule"] < cut[1]], ["absent", "non_intact"], "intact"
    )
    found = {
        name: latent[name].to_numpy() > norm.ppf(1 - share) for name, share in PREVALENCE.items()
    }
    found["capsule_breakthrough"] &= capsule == "non_intact"
    ratio = np.exp(0.45 + 0.2 * latent["enhancement_ratio"].to_numpy()).round(2)
    return {**found, "capsule": capsule, "enhancement_ratio": ratio}


def _diameters(cells: Words, margins: Margins, rng: np.random.Generator) -> Floats:
    """
    Log-normal sizes within each cell's range, with the exact median, smallest and largest.

    Only AB and B lie on both sides of the median. As many of them as it takes are drawn to lie
    below, by their chance to, and each size is then drawn on its own side.
    """
    low, high = np.array([_RANGES_MM[cell] for cell in cells], dtype=float).T
    low = np.maximum(low, margins.diameter_low_mm)
    high = np.minimum(high, margins.diameter_high_mm)
    middle = np.log(margins.diameter_median_mm)
    just_below = np.ceil(10 * margins.diameter_median_mm - 1 - 1e-9) / 10
    just_above = round(2 * margins.diameter_median_mm - just_below, 1)
    either = high > just_above
    chance = (0.5 - _cdf(low, middle)) / (_cdf(high, middle) - _cdf(low, middle))
    below = ~either
    below[either] = exactly(
        len(cells) // 2 - int((~either).sum()), logit(chance[either].clip(0.001, 0.999)), rng
    )
    low = np.where(below, low, just_above)
    high = np.where(below, np.minimum(high, just_below), high)
    share = rng.uniform(_cdf(low, middle), _cdf(high, middle))
    sizes: Floats = np.exp(middle + _SPREAD * norm.ppf(share)).round(1).clip(low, high)
    sizes[_extreme(sizes, either & below, np.argmax)] = just_below
    sizes[_extreme(sizes, ~below, np.argmin)] = just_above
    sizes[_extreme(sizes, cells == "0 single", np.argmin)] = margins.diameter_low_mm
    sizes[_extreme(sizes, ~below, np.argmax)] = margins.diameter_high_mm
    return sizes


def _cdf(size_mm: Floats, middle: float) -> Floats:
    """The share of a log-normal size below these."""
    share: Floats = norm.cdf((np.log(size_mm) - middle) / _SPREAD)
    return share


def _extreme(sizes: Floats, among: Bools, which: Callable[[Floats], np.intp]) -> list[int]:
    """Where the largest or smallest size among these patients stands; nowhere among nobody."""
    return [int(np.flatnonzero(among)[which(sizes[among])])] if among.any() else []


def _lesion_counts(cells: Words, margins: Margins, rng: np.random.Generator) -> Floats:
    """One, two or three, or four and more, as the cell says."""
    number = np.array([CELLS[cell][1] for cell in cells])
    count = np.ones(len(cells))
    few = number == "few"
    two = _highest(margins.two_lesions, rng.standard_normal(int(few.sum())))
    count[few] = np.where(two, 2, 3)
    many = number == "many"
    count[many] = 4 + rng.poisson(1.5, int(many.sum()))
    return count


def _ages(margins: Margins, rng: np.random.Generator) -> Floats:
    """Ages with this mean and standard deviation, nobody under 18."""
    ages = truncnorm.rvs(-2.6, 2.6, size=margins.patients, random_state=rng)
    years: Floats = (margins.age_mean + margins.age_sd * _standardised(ages)).round(1)
    return years


def _afp(latent: Floats, margins: Margins, rng: np.random.Generator) -> Floats:
    """AFP log-uniform within its band; who is in which band follows the latent."""
    order = np.argsort(latent + rng.standard_normal(len(latent)))
    band = np.empty(len(latent), dtype=object)
    band[order] = np.repeat(list(margins.afp), list(margins.afp.values()))
    low, high = np.log([_AFP_NG_ML[name] for name in band]).T
    afp: Floats = np.exp(rng.uniform(low, high)).round(1)
    return afp


def _neutrophil_to_lymphocyte(n: int, rng: np.random.Generator) -> Floats:
    """Log-normal around 2.5, three in a hundred not recorded."""
    ratio: Floats = np.exp(np.log(2.5) + 0.45 * rng.standard_normal(n)).round(2)
    ratio[_highest(round(_MISSING_RATIOS * n), rng.random(n))] = np.nan
    return ratio


def _highest(count: int, latent: Floats) -> Bools:
    """True for exactly so many patients, those with the highest latent."""
    chosen = np.zeros(len(latent), dtype=bool)
    chosen[np.argsort(-latent)[:count]] = True
    return chosen


def _standardised(values: Floats) -> Floats:
    """Mean 0 and standard deviation 1 (of a sample)."""
    scaled: Floats = (values - values.mean()) / values.std(ddof=1)
    return scaled
