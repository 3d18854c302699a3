"""Whether a network took noise for the disease: what noise alone does to patients without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.models import fitting, scoring
from hcc_utils.models.cases import Cases, Job, Rows
from hcc_utils.models.fitting import Say
from hcc_utils.models.network import Network
from hcc_utils.models.scoring import Pixels
from hcc_utils.models.settings import PUBLISHED_NOISE_SD, Settings
from hcc_utils.study.progress import say

NOISE_SDS = (0.0, 0.03, 0.1, PUBLISHED_NOISE_SD)  # on the windowed scale, from 0 to 1
COLUMNS = ("protocol", "noise_sd", "noise_hu", "trained_sd", "mean_score", "low", "high", "n")


def noise_probe(
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    fold: Rows,
    settings: Settings,
    folder: Path | str,
    *,
    event: str = "aggressive_pd",
    progress: Say = say,
) -> pd.DataFrame:
    """
    Mean scores of patients without the event when noise is added to their slices.

    Two networks of the first fold are asked, about patients whom they never saw: that of
    `training.cross_fit`, and one trained with the paper's noisy copies of slices with the event.

    Parameters
    ----------
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient of development: ``patient_id``, ``centre`` and the outcome.
    fold : numpy.ndarray of int, shape (n_patients,)
        As `training.cross_fit` was given it.
    settings : Settings
        As `training.cross_fit` was given them.
    folder : pathlib.Path or str
        Where its networks are kept; the paper's is kept in ``as_published`` beside them.
    event : str, default "aggressive_pd"
        The outcome's column.
    progress : callable
        Told one line an epoch.

    Returns
    -------
    pandas.DataFrame
        One row a protocol and amount of noise: ``protocol``, ``noise_sd`` (from 0 to 1 the window
        is wide), ``noise_hu`` (the same in Hounsfield units), ``trained_sd`` (of the noise that
        the network saw in training), ``mean_score``, its 95 % bootstrap interval over patients
        ``low`` and ``high``, ``n`` patients.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    job = Job(name="fold0", learns=np.flatnonzero(fold != 0), scores=np.flatnonzero(fold == 0))
    settings = cases.settings_of(job, settings)
    quiet = job.scores[~cases.event[job.scores]]
    ways = {
        "leak_free": (settings, Path(folder)),
        "as_published": (settings.as_published, Path(folder) / "as_published"),
    }
    rows = []
    for protocol, (how, where) in ways.items():
        network, _ = fitting.fit(cases, job, how, where, progress)
        for noise_sd in NOISE_SDS:
            noise_hu = noise_sd * settings.window_width_hu
            score = _scores(cases, quiet, noise_hu, network, how)
            found = (float(score.mean()), *intervals.bootstrapped_mean(score, seed=0))
            rows.append((protocol, noise_sd, noise_hu, how.noise_sd, *found, len(quiet)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _scores(
    cases: Cases, rows: Rows, noise_hu: float, network: Network, settings: Settings
) -> checks.Floats:
    """Patients' scores with white noise on their slices; one patient's are held at a time."""
    draw = np.random.default_rng(0)
    scores = []
    for row in rows:
        pixels = cases.pixels_hu[cases.slices_of(row)]
        noisy = np.rint(pixels + draw.normal(0, noise_hu, pixels.shape))
        noisy = np.clip(noisy, -(2**15), 2**15 - 1).astype(np.int16)
        scores.append(scoring.slice_scores(network, noisy, settings).mean())
    return np.array(scores)
