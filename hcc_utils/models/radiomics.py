"""Radiomics: what a few numbers of the target lesion tell without a network.

Chapter 02 keeps a lesion's pictures and boxes, no mask. So the lesion is taken to fill the ellipse
inscribed in its box: the box's corners, a fifth of it, are mostly not lesion.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from hcc_utils import checks
from hcc_utils.evaluation import comparison
from hcc_utils.imaging import study_slices
from hcc_utils.models import clinical, prespecified, record
from hcc_utils.models.clinical import ClinicalModel, Imputer
from hcc_utils.models.harmonisation import ComBat
from hcc_utils.models.model_d import Images
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores

FROZEN = "radiomics.json"
SHAPE: tuple[str, ...] = (
    "longest_axis_mm",
    "height_mm",
    "log10_volume_ml",
    "axis_ratio",
    "taper",
)
FIRST_ORDER: tuple[str, ...] = (
    "mean_hu",
    "sd_hu",
    "p10_hu",
    "p90_hu",
    "skewness",
    "excess_kurtosis",
    "entropy_bits",
)
TEXTURE: tuple[str, ...] = (
    "glcm_contrast",
    "glcm_correlation",
    "glcm_homogeneity",
    "glcm_energy",
    "glcm_entropy_bits",
)
FEATURES: tuple[str, ...] = SHAPE + FIRST_ORDER + TEXTURE

GREY_LEVELS_HU = np.arange(-75.0, 250.0, 25.0)  # between 14 levels; the first and last are open
DISTANCE_MM = 2.0  # two pixels or so as the scanner made them: nearer ones share their noise
ANGLES_DEGREES = (0, 45, 90, 135)

Levels = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]
_ORIGINS = ("out_of_fold", "external", "demonstration")


@dataclass(frozen=True)
class Radiomics:
    """
    The radiomics baseline at a centre.

    Parameters
    ----------
    d : Scores
        Model D's.
    patients : pandas.DataFrame
        Those of Model D, each with its `FEATURES`.
    scores : Scores
        Model ``radiomics``, of the origin of Model D's; in a development of several centres
        also ``radiomics_combat``.
    model : ClinicalModel
        Fitted on all of development, for other centres.
    """

    d: Scores
    patients: pd.DataFrame
    scores: Scores
    model: ClinicalModel

    @property
    def metrics(self) -> pd.DataFrame:
        """The AUCs of baseline and Model D, and their differences; of a demonstration, no row."""
        if set(self.scores.table["origin"]) == {"demonstration"}:
            return pd.DataFrame(columns=list(comparison.COLUMNS))
        # of the AUC alone: Model D's score is no risk before the next chapter
        metrics = comparison.compare(self.d + self.scores)
        return metrics[metrics["metric"].isin(["auc", "auc_difference"])]

    def write(self, here: Folder) -> None:
        """
        Nothing; the scores, and in development the frozen model, stand in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        self.scores.write(here.own("scores_radiomics.csv"))
        if set(self.scores.table["origin"]) == {"out_of_fold"}:
            here.write_json({"radiomics": asdict(self.model)}, FROZEN)


def at_centre(images: Images, d: Scores, *, here: Folder, bundle: str) -> Radiomics:
    """
    The radiomics baseline of the patients whom Model D scored.

    Parameters
    ----------
    images : Images
        The centre's patients and slices.
    d : Scores
        Model D's scores: the baseline has their folds and their origin.
    here : Folder
        The centre's results.
    bundle : str
        The frozen bundle's folder; empty in development, where the model is fitted.

    Returns
    -------
    Radiomics
        Its scores with their origin.
    """
    made = here.read_json("preprocessing.json")
    margins = {name: made[name] for name in ("margin_pixels", "margin_mm")}
    found = features(images.slices, images.pixels_hu, here.read("scans.csv"), **margins)
    patients = images.patients.merge(found, on="patient_id", validate="one_to_one")
    if bundle:
        model = _frozen(bundle)
        origin = str(d.require(*_ORIGINS[1:], use="say whose radiomics these are").table.origin[0])
        return Radiomics(d, patients, apply(model, patients, images.endpoint, origin), model)
    own = d.require("out_of_fold", use="draw the folds of radiomics").table
    fold = own.set_index("patient_id")["fold"].loc[patients["patient_id"]]
    scores = cross_fit(patients, fold, images.endpoint)
    if len(set(patients["centre"])) > 1:
        scores += cross_fit(patients, fold, images.endpoint, combat=True)
    return Radiomics(d, patients, scores, fit(patients, images.endpoint))


def features(
    slices: pd.DataFrame,
    pixels_hu: npt.NDArray[np.int16],
    scans: pd.DataFrame,
    *,
    margin_pixels: int = 5,
    margin_mm: float | None = None,
) -> pd.DataFrame:
    """
    First-order, shape and texture features of each patient's lesion.

    Parameters
    ----------
    slices : pandas.DataFrame
        Rows of ``slices.csv``.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
        Their pictures, in Hounsfield units.
    scans : pandas.DataFrame
        ``patient_id`` and ``slice_spacing_mm``.
    margin_pixels, margin_mm
        How far the boxes were widened (``preprocessing.json``).

    Returns
    -------
    pandas.DataFrame
        One row a patient: ``patient_id`` and `FEATURES`, all of the ellipse inscribed in the box
        before it was widened. Shape: longest axis on any slice; height (slices times their
        spacing) and volume of the stack; shorter over longer axis where the lesion is largest;
        mean over largest area (1 for a cylinder, about 2/3 for a ball). First-order and texture
        features are computed on each slice and averaged, weighted by area. Texture: the grey-level
        co-occurrence matrix of pairs `DISTANCE_MM` apart in four directions, both ways round, in
        levels of 25 HU. What needs a spacing that the scan does not tell is missing.

    References
    ----------
    .. [1] Haralick, Shanmugam and Dinstein (1973), IEEE Trans Syst Man Cybern 3:610-621.
    .. [2] Zwanenburg et al. (2020), Radiology 295:328-338 (features averaged over slices).
    """
    checks.same_length(slices=slices.index, pixels_hu=pixels_hu)
    boxes = _boxes(slices, margin_pixels, margin_mm)
    names = FIRST_ORDER + TEXTURE
    each = zip(pixels_hu, boxes.to_dict("records"), strict=True)
    numbers = np.array([_of_slice(picture, box) for picture, box in each])
    known = ~np.isnan(numbers)
    weights = boxes["area_px"].to_numpy()[:, None] * known
    patient = slices["patient_id"].to_numpy()
    total = pd.DataFrame(weights * np.where(known, numbers, 0), columns=names).groupby(patient)
    averages = total.sum() / pd.DataFrame(weights, columns=names).groupby(patient).sum()
    spacing_mm = scans.set_index("patient_id")["slice_spacing_mm"]
    shapes = {
        name: _shape(own, float(spacing_mm.get(name, np.nan)))
        for name, own in boxes.groupby(patient)
    }
    found = pd.DataFrame.from_dict(shapes, orient="index", columns=SHAPE).join(averages)
    return found.rename_axis("patient_id").reset_index()


def fit(patients: pd.DataFrame, outcome: str) -> ClinicalModel:
    """
    The penalised logistic model of all features.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, all of them training rows, with `FEATURES` and the outcome.
    outcome : str
        The outcome's column.

    Returns
    -------
    ClinicalModel
        Standardisation, penalty (by AIC) and what fills a missing feature are of these rows. The
        coefficients are a feature's own unit's, so that nothing else need be kept.
    """
    return prespecified.fit(patients, outcome, FEATURES)


def cross_fit(
    patients: pd.DataFrame, fold: npt.ArrayLike, outcome: str, *, combat: bool = False
) -> Scores:
    """
    Out-of-fold scores: all that is learnt is learnt anew without each fold.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``, `FEATURES` and the outcome.
    fold : array_like of int, shape (n_patients,)
        The fold in which each patient is left out.
    outcome : str
        The outcome's column.
    combat : bool, default False
        Whether features are harmonised between centres first, also learnt without each fold.

    Returns
    -------
    Scores
        Model ``radiomics`` (or ``radiomics_combat``), origin ``out_of_fold``; the score is the
        linear predictor.
    """
    fitted = _Harmonised.fit if combat else fit
    score = clinical.left_out_scores(patients, fold, lambda training: fitted(training, outcome))
    return Scores.of(
        patients,
        model="radiomics_combat" if combat else "radiomics",
        origin="out_of_fold",
        score=score,
        risk=special.expit(score),
        fold=np.asarray(fold),
        event=outcome,
    )


def apply(model: ClinicalModel, patients: pd.DataFrame, outcome: str, origin: str) -> Scores:
    """
    The frozen model's scores of patients whom it has never seen: nothing is fitted.

    Parameters
    ----------
    model : ClinicalModel
        As `fit` gave it in development.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``, `FEATURES` and the outcome.
    outcome : str
        The outcome's column.
    origin : str
        ``external``, or ``demonstration`` where the model is another study's.

    Returns
    -------
    Scores
        Model ``radiomics``.
    """
    score = model.score(patients)
    return Scores.of(
        patients,
        model="radiomics",
        origin=origin,
        score=score,
        risk=special.expit(score),
        event=outcome,
    )


@dataclass(frozen=True)
class _Harmonised:
    """A radiomics model of features that ComBat has made alike between development's centres."""

    imputer: Imputer
    combat: ComBat
    model: ClinicalModel

    @classmethod
    def fit(cls, patients: pd.DataFrame, outcome: str) -> _Harmonised:
        """All of it on these rows."""
        imputer = Imputer.learn(patients, FEATURES)
        complete = imputer.apply(patients)
        combat = ComBat.learn(complete[list(imputer.values)], patients["centre"])
        return cls(imputer, combat, fit(_alike(complete, imputer, combat), outcome))

    def score(self, patients: pd.DataFrame) -> checks.Floats:
        """The linear predictor."""
        return self.model.score(_alike(self.imputer.apply(patients), self.imputer, self.combat))


def _alike(patients: pd.DataFrame, imputer: Imputer, combat: ComBat) -> pd.DataFrame:
    """The patients with harmonised features; one that is missing for everybody stays so."""
    names = list(imputer.values)
    return patients.assign(**combat.apply(patients[names], patients["centre"]))


def _frozen(bundle: Path | str) -> ClinicalModel:
    """Development's model."""
    content = record.read(bundle).get("radiomics")
    if not content:
        raise checks.InputError(
            f"{bundle} holds no radiomics model: an earlier version froze it. Run development "
            f"again."
        )
    return ClinicalModel.from_dict(content)


def _boxes(slices: pd.DataFrame, margin_pixels: int, margin_mm: float | None) -> pd.DataFrame:
    """Each slice's box: shares of the picture, sides and ellipse in the CT's pixels and in mm."""
    boxes = study_slices.boxes_in_crops(slices, margin_pixels=margin_pixels, margin_mm=margin_mm)
    boxes["rows_px"] = slices["row_max"] - slices["row_min"] + 1
    boxes["columns_px"] = slices["column_max"] - slices["column_min"] + 1
    boxes["area_px"] = np.pi / 4 * boxes["rows_px"] * boxes["columns_px"]
    return boxes.assign(spacing_mm=slices["pixel_spacing_mm"])


def _shape(boxes: pd.DataFrame, slice_spacing_mm: float) -> tuple[float, ...]:
    """`SHAPE` of one lesion."""
    sides = boxes[["rows_px", "columns_px"]]
    axes = sides.loc[boxes["area_px"].idxmax()]
    area_mm2 = boxes["area_px"] * boxes["spacing_mm"] ** 2
    return (
        float((sides.max(axis=1) * boxes["spacing_mm"]).max()),
        len(boxes) * slice_spacing_mm,
        float(np.log10(area_mm2.sum(skipna=False) * slice_spacing_mm / 1000)),
        float(axes.min() / axes.max()),
        float(boxes["area_px"].mean() / boxes["area_px"].max()),
    )


def _of_slice(picture_hu: npt.NDArray[np.int16], box: dict[Hashable, Any]) -> list[float]:
    """`FIRST_ORDER` and `TEXTURE` of one slice."""
    inside = _ellipse(picture_hu.shape, box)
    levels = np.digitize(picture_hu, GREY_LEVELS_HU)
    hu = picture_hu[inside].astype(float)
    return [
        *_moments(hu),
        _entropy_bits(np.bincount(levels[inside]) / len(hu)),
        *_texture(_co_occurrence(levels, inside, _offsets(picture_hu.shape, box))),
    ]


def _ellipse(shape: tuple[int, ...], box: dict[Hashable, Any]) -> checks.Bools:
    """True for the pixels of a picture whose centres lie in the box's inscribed ellipse."""
    down, across = [
        (2 * (np.arange(n) + 0.5) / n - box[start] - box[end]) / (box[end] - box[start])
        for n, start, end in zip(shape, ("top", "left"), ("bottom", "right"), strict=True)
    ]
    inside: checks.Bools = down[:, None] ** 2 + across**2 <= 1
    return inside


def _moments(hu: checks.Floats) -> list[float]:
    """Mean, SD, 10th and 90th percentile, skewness and excess kurtosis; of a constant, 0."""
    mean, sd = hu.mean(), hu.std()
    away = (hu - mean) / (sd or 1)
    kurtosis = (away**4).mean() - 3 if sd else 0.0
    return [mean, sd, *np.percentile(hu, (10, 90)), (away**3).mean(), kurtosis]


def _offsets(shape: tuple[int, ...], box: dict[Hashable, Any]) -> list[tuple[int, int]]:
    """How many rows down and columns across the other pixel of a pair is, by direction."""
    row_mm = box["rows_px"] * box["spacing_mm"] / (box["bottom"] - box["top"]) / shape[0]
    column_mm = box["columns_px"] * box["spacing_mm"] / (box["right"] - box["left"]) / shape[1]
    if np.isnan(row_mm):
        return []
    angles = np.deg2rad(ANGLES_DEGREES)
    down = np.rint(DISTANCE_MM * np.sin(angles) / row_mm).astype(int)
    across = np.rint(DISTANCE_MM * np.cos(angles) / column_mm).astype(int)
    return list(zip(down.tolist(), across.tolist(), strict=True))


def _co_occurrence(levels: Levels, inside: checks.Bools, offsets: list[tuple[int, int]]) -> Counts:
    """How often a level lies beside a level, both pixels inside, both ways round."""
    outside = len(GREY_LEVELS_HU) + 1  # one level more, left out at the end
    n, marked = outside + 1, np.where(inside, levels, outside)
    rows, columns = marked.shape
    counts = np.zeros((n, n), np.int64)
    for down, across in offsets:
        left, right = max(-across, 0), max(across, 0)
        first = marked[: rows - down, left : columns - right]
        second = marked[down:, right : columns - left]
        counts += np.bincount((first * n + second).ravel(), minlength=n * n).reshape(n, n)
    counts = counts[:outside, :outside]
    return counts + counts.T


def _texture(counts: Counts) -> list[float]:
    """`TEXTURE` of a co-occurrence matrix; missing where there is no pair."""
    if not counts.any():
        return [np.nan] * len(TEXTURE)
    share = counts / counts.sum()
    level = np.arange(len(share))
    step2 = (level[:, None] - level) ** 2
    mean = share.sum(axis=0) @ level
    variance = share.sum(axis=0) @ (level - mean) ** 2
    contrast = (share * step2).sum()
    return [
        contrast,
        1 - contrast / (2 * variance) if variance else 1.0,  # of a symmetric matrix
        (share / (1 + step2)).sum(),
        np.sqrt((share**2).sum()),
        _entropy_bits(share.ravel()),
    ]


def _entropy_bits(share: checks.Floats) -> float:
    """How evenly shares are spread: 0 where one has all."""
    return float(special.entr(share).sum() / np.log(2))
