"""The demo's truth: what makes aggressive progression likely, and how events are drawn from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from hcc_utils.checks import Bools, Floats
from hcc_utils.demo.margins import Margins

# Set once, so that the linear predictor's AUC is .88 +- .02, and never to move a result.
# They are the demo's own: with the published coefficients the published score would be the oracle.
IMAGE_EFFECT = 1.7
DOUBLING_OF_DIAMETER = 0.4
FLAGS = {"cirrhosis": 0.8, "fusion_lesion": 0.8, "nodule_in_nodule": 0.8}
CAPSULE = {"absent": 0.0, "non_intact": -0.7, "intact": -1.2}
TYPICAL_DIAMETER_MM = 60.0


def clinical_part(patients: pd.DataFrame) -> Floats:
    """
    The part of the linear predictor that the table shows.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, with diameter, cirrhosis, fusion, nodule-in-nodule and capsule.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        Log odds; higher is worse. Linear in the logarithm of the diameter, which a model that is
        linear in millimetres only comes near.
    """
    doublings = np.log2(patients["diameter_mm"].to_numpy(float) / TYPICAL_DIAMETER_MM)
    flags = sum(effect * patients[name].to_numpy(float) for name, effect in FLAGS.items())
    capsule = patients["capsule"].map(CAPSULE).to_numpy(float)
    part: Floats = DOUBLING_OF_DIAMETER * doublings + flags + capsule
    return part


def table(patients: pd.DataFrame, image_latent: Floats, margins: Margins) -> pd.DataFrame:
    """
    The truth of each patient, before any event is drawn.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: the predictors of `clinical_part`, and ``bclc``.
    image_latent : numpy.ndarray of float, shape (n_patients,)
        What CT shows, standard normal.
    margins : Margins
        The paper's patients and events of each stage: a stage's intercept is such that these
        patients expect the paper's share of events.

    Returns
    -------
    pandas.DataFrame
        ``image_latent``, ``clinical_part``, ``intercept``, ``linear_predictor``, ``risk_true``.
    """
    clinical = clinical_part(patients)
    effects = clinical + IMAGE_EFFECT * image_latent
    stage = patients["bclc"].to_numpy(str)
    intercept = np.zeros(len(patients))
    for name, events in margins.events.items():
        here = stage == name
        intercept[here] = _intercept(effects[here], events / margins.of_stage(name))
    return pd.DataFrame(
        {
            "image_latent": image_latent,
            "clinical_part": clinical,
            "intercept": intercept,
            "linear_predictor": intercept + effects,
            "risk_true": expit(intercept + effects),
        }
    )


def exactly(count: int, log_odds: Floats, rng: np.random.Generator) -> Bools:
    """
    A draw of independent events, given that exactly so many happened.

    Parameters
    ----------
    count : int
        How many happen, from none to all.
    log_odds : numpy.ndarray of float, shape (n,)
        Log odds of each; a constant added to all of them changes nothing.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        True where it happened. A set has a probability in proportion to the product of its odds.
    """
    # weight[i, k]: log of the summed weights of all ways to choose k from the items i, i + 1, ...
    weight = np.full((len(log_odds) + 1, count + 1), -np.inf)
    weight[:, 0] = 0
    for i in reversed(range(len(log_odds))):
        weight[i, 1:] = np.logaddexp(weight[i + 1, 1:], log_odds[i] + weight[i + 1, :-1])
    happened = np.zeros(len(log_odds), dtype=bool)
    for i, chance in enumerate(rng.random(len(log_odds))):
        left = count - int(happened.sum())
        if left:
            share = log_odds[i] + weight[i + 1, left - 1] - weight[i, left]
            happened[i] = np.log(chance) < share
    return happened


def events(
    truth: pd.DataFrame,
    stage: np.ndarray,
    margins: Margins,
    rng: np.random.Generator,
    *,
    free: bool,
) -> Bools:
    """
    Who has aggressive progression.

    Parameters
    ----------
    truth : pandas.DataFrame
        As `table` returns it.
    stage : array_like of str, shape (n_patients,)
        BCLC stages.
    margins : Margins
        The number of events of each stage.
    rng : numpy.random.Generator
        Where chance comes from.
    free : bool
        Each by its own risk alone, whatever the number of events.

    Returns
    -------
    numpy.ndarray of bool, shape (n_patients,)
        True where it happened.
    """
    if free:
        drawn: Bools = rng.random(len(truth)) < truth["risk_true"].to_numpy()
        return drawn
    event = np.zeros(len(truth), dtype=bool)
    for name, count in margins.events.items():
        here = np.asarray(stage) == name
        event[here] = exactly(count, truth["linear_predictor"].to_numpy()[here], rng)
    return event


def _intercept(effects: Floats, rate: float) -> float:
    """The constant with which the mean risk is the rate."""
    if not len(effects):
        return 0.0
    return float(brentq(lambda constant: expit(constant + effects).mean() - rate, -30, 30))
