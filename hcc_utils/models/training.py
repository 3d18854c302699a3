"""Model D's scores: out of fold for development, from one final network for everyone else."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.models import fitting, folds, hardware, ranks
from hcc_utils.models.cases import Cases, Job, Rows
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.models.fitting import Say
from hcc_utils.models.scoring import Pixels
from hcc_utils.models.settings import PROFILES, Settings
from hcc_utils.study.progress import say
from hcc_utils.study.scores import Scores

__all__ = [
    "PROFILES",
    "Settings",
    "cross_fit",
    "fold_ensembles",
    "nested",
    "refit",
    "scores",
    "tuned",
]


@dataclass(frozen=True)
class _Outcome:
    """What a finished job gives back: the scores of the patients it left out, and its curve."""

    job: Job
    score: checks.Floats
    curve: pd.DataFrame


@dataclass(frozen=True)
class _Bench:
    """All that jobs share."""

    cases: Cases
    settings: Settings
    folder: Path
    say: Say

    def outcome(self, job: Job) -> _Outcome:
        """Train (or find) the job's network and score whom it left out."""
        settings = self.cases.settings_of(job, self.settings)
        model, curve = fitting.fit(self.cases, job, settings, self.folder, self.say)
        return _Outcome(job, self.cases.scores(model, job.scores, settings), curve)

    def outcomes(self, jobs: list[Job]) -> list[_Outcome]:
        """Every job's outcome, by the mean of its ensemble."""
        every = self._each([one for job in jobs for one in _members(job, self.settings)])
        size = self.settings.members
        return [_mean(every[start : start + size]) for start in range(0, len(every), size)]

    def _each(self, jobs: list[Job]) -> list[_Outcome]:
        """Every network's outcome, several at a time where several are left to train."""
        left = [j for j in jobs if not fitting.is_finished(self.cases, j, *self._where)]
        jobs = [replace(job, number=n, of=len(jobs)) for n, job in enumerate(jobs, start=1)]
        at_a_time = min(self.settings.processes, len(left))
        if at_a_time < 2 or hardware.device().type != "cpu" or ranks.number() > 1:
            alone = replace(self, settings=replace(self.settings, processes=1))
            return [alone.outcome(job) for job in jobs]
        with ProcessPoolExecutor(
            at_a_time, multiprocessing.get_context("spawn"), _take_seat, (self,)
        ) as pool:
            return list(pool.map(_at_the_bench, jobs))

    @property
    def _where(self) -> tuple[Settings, Path]:
        """How networks are trained and where they stand."""
        return self.settings, self.folder


def cross_fit(
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    fold: Rows,
    settings: Settings,
    folder: Path | str,
    *,
    event: str = "aggressive_pd",
    progress: Say = say,
) -> tuple[Scores, pd.DataFrame]:
    """
    Out-of-fold scores of Model D: each patient's network never saw that patient.

    Parameters
    ----------
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient of development: ``patient_id``, ``centre`` and the outcome.
    fold : numpy.ndarray of int, shape (n_patients,)
        As `folds.assign` gives it.
    settings : Settings
        How networks are trained.
    folder : pathlib.Path or str
        Where networks are kept (``fold0``, ``fold1``, ...; an ensemble's second member of the
        first fold is ``fold0_member2``) and found again.
    event : str, default "aggressive_pd"
        The outcome's column.
    progress : callable
        Told one line an epoch; importable, for it is called in other processes.

    Returns
    -------
    scores : Scores
        Model ``d``, origin ``out_of_fold``. ``risk`` is the score: the training is balanced, so
        it is too high until it is recalibrated.
    curves : pandas.DataFrame
        One row a network and epoch: ``network``, ``epoch``, ``loss``, ``inner_loss``,
        ``inner_auc``.

    Notes
    -----
    The final network is trained beside the folds', since two at a time are faster than one;
    `refit` then finds it.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    everyone = np.arange(len(patients))
    jobs = [*_jobs("fold", everyone, _checked(fold, cases)), _final(cases)]
    *outcomes, _ = _Bench(cases, settings, Path(folder), progress).outcomes(jobs)
    return _gathered(cases, everyone, fold, outcomes), _curves(outcomes)


def fold_ensembles(
    cases: Cases, fold: Rows, settings: Settings, folder: Path | str, *, progress: Say = say
) -> list[Ensemble]:
    """
    The networks that give the out-of-fold scores, from disk where `cross_fit` has left them.

    Parameters
    ----------
    cases : Cases
        All patients of development.
    fold : numpy.ndarray of int, shape (n_patients,)
        As `cross_fit` was given it.
    settings : Settings
        As `cross_fit` was given them.
    folder : pathlib.Path or str
        Where networks are kept.
    progress : callable
        Told one line an epoch, where a network must be trained after all.

    Returns
    -------
    list of Ensemble
        One a fold, with the window of its own training part; it has learnt from all patients but
        the fold's.
    """
    jobs = _jobs("fold", np.arange(len(fold)), _checked(fold, cases))
    return [_ensemble(cases, job, settings, folder, progress)[0] for job in jobs]


def nested(
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    fold: Rows,
    settings: Settings,
    folder: Path | str,
    *,
    event: str = "aggressive_pd",
    progress: Say = say,
) -> tuple[dict[int, Scores], pd.DataFrame]:
    """
    For each outer fold, out-of-fold scores of all other patients that never saw that fold.

    Parameters
    ----------
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient of development: ``patient_id``, ``centre`` and the outcome.
    fold : numpy.ndarray of int, shape (n_patients,)
        The outer folds; the networks that score them are those of `cross_fit`.
    settings : Settings
        How networks are trained.
    folder : pathlib.Path or str
        Where networks are kept (``outer0_inner0``, ...) and found again.
    event : str, default "aggressive_pd"
        The outcome's column.
    progress : callable
        Told one line an epoch; importable, for it is called in other processes.

    Returns
    -------
    scores : dict of int to Scores
        For each outer fold the scores of the patients outside it, ``fold`` being the inner one.
    curves : pandas.DataFrame
        One row a network and epoch: ``network``, ``epoch``, ``loss``, ``inner_loss``,
        ``inner_auc``.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    n_folds = len(np.unique(_checked(fold, cases)))
    rows: dict[int, Rows] = {}
    inner: dict[int, Rows] = {}
    jobs: list[Job] = []
    for outer in range(n_folds):
        rows[outer] = np.flatnonzero(fold != outer)
        others = cases.patients.iloc[rows[outer]]
        inner[outer] = folds.assign(
            others, n_folds=n_folds, seed=settings.seed + 1 + outer, event="event"
        )
        jobs += _jobs(f"outer{outer}_inner", rows[outer], inner[outer])
    outcomes = _Bench(cases, settings, Path(folder), progress).outcomes(jobs)
    scores_of = {
        outer: _gathered(
            cases, rows[outer], inner[outer], outcomes[outer * n_folds : (outer + 1) * n_folds]
        )
        for outer in range(n_folds)
    }
    return scores_of, _curves(outcomes)


def refit(
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    settings: Settings,
    folder: Path | str,
    *,
    event: str = "aggressive_pd",
    progress: Say = say,
) -> tuple[Ensemble, pd.DataFrame]:
    """
    The final ensemble, fitted on all patients of development with the folds' stopping rule.

    Parameters
    ----------
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient of development: ``patient_id``, ``centre`` and the outcome.
    settings : Settings
        How networks are trained.
    folder : pathlib.Path or str
        Where the network is kept (``final``) and found again.
    event : str, default "aggressive_pd"
        The outcome's column.
    progress : callable
        Told one line an epoch.

    Returns
    -------
    ensemble : Ensemble
        It scores patients of other centres; development's own have out-of-fold scores.
    curves : pandas.DataFrame
        One row a network and epoch: ``network``, ``epoch``, ``loss``, ``inner_loss``,
        ``inner_auc``.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    return _ensemble(cases, _final(cases), settings, folder, progress)


def tuned(
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    learns: npt.ArrayLike,
    settings: Settings,
    folder: Path | str,
    *,
    event: str = "aggressive_pd",
    progress: Say = say,
) -> tuple[Ensemble, pd.DataFrame]:
    """
    A network by the paper's choices: noisy copies, and its epoch chosen on everyone.

    Parameters
    ----------
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient of any centre: ``patient_id``, ``centre`` and the outcome.
    learns : array_like of bool, shape (n_patients,)
        True for development's patients, from whom the network learns.
    settings : Settings
        How networks are trained; the balancing is the paper's, whatever they say.
    folder : pathlib.Path or str
        Where the network is kept (``tuned``) and found again.
    event : str, default "aggressive_pd"
        The outcome's column.
    progress : callable
        Told one line an epoch.

    Returns
    -------
    ensemble : Ensemble
        No score of it is out of fold or external: it is fitted on, or tuned to, each patient.
    curve : pandas.DataFrame
        One row an epoch: ``network``, ``epoch``, ``loss``, ``inner_loss`` and ``inner_auc`` (of
        all patients).

    Notes
    -----
    "The model with the best performance in both the training and validation sets" (the paper):
    that the performance is the loss of both sets together is our assumption.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    everyone = np.arange(len(patients))
    job = Job(
        name="tuned",
        learns=everyone[np.asarray(learns, dtype=bool)],
        scores=everyone[:0],
        chosen_on=everyone,
    )
    return _ensemble(cases, job, settings.as_published, folder, progress)


def scores(
    ensemble: Ensemble,
    pixels_hu: Pixels,
    slices: pd.DataFrame,
    patients: pd.DataFrame,
    *,
    origin: str = "external",
    protocol: str = "leak_free",
    event: str = "aggressive_pd",
) -> Scores:
    """
    Scores of Model D by one network, or by the mean of one ensemble.

    Parameters
    ----------
    ensemble : Ensemble
        As `refit` or a bundle gives it.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, 128, 128)
        Intensities in Hounsfield units.
    slices : pandas.DataFrame
        One row a slice, in the same order, with ``patient_id``.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre`` and the outcome.
    origin : str, default "external"
        Where the scores come from; ``external`` is true only of patients of other centres.
    protocol : str, default "leak_free"
        How the network was made.
    event : str, default "aggressive_pd"
        The outcome's column.

    Returns
    -------
    Scores
        Model ``d``; ``risk`` is the score until it is recalibrated.
    """
    cases = Cases.of(pixels_hu, slices, patients, event)
    everyone = np.arange(len(patients))
    each = [cases.scores(one, everyone, ensemble.settings) for one in ensemble.members]
    score = np.mean(each, axis=0)
    return Scores.of(
        cases.patients,
        model="d",
        origin=origin,
        protocol=protocol,
        score=score,
        risk=score,
        event="event",
    )


def _checked(fold: Rows, cases: Cases) -> Rows:
    """The folds, where each patient has one and they count from 0."""
    checks.same_length(fold=fold, patients=cases.patients.index.to_numpy())
    found = np.unique(fold)
    if len(found) < 2 or not np.array_equal(found, np.arange(len(found))):
        raise checks.InputError(
            f"fold must hold 0, 1, ... for at least two folds; it holds {found.tolist()}. "
            f"models.folds.assign makes them."
        )
    return fold


def _jobs(prefix: str, rows: Rows, fold: Rows) -> Iterator[Job]:
    """For each fold a network that learns from the others and scores this one."""
    for left_out in np.unique(fold):
        yield Job(
            name=f"{prefix}{left_out}",
            learns=rows[fold != left_out],
            scores=rows[fold == left_out],
        )


def _final(cases: Cases) -> Job:
    """The network that learns from all, and scores none of them."""
    everyone = np.arange(len(cases.patients))
    return Job(name="final", learns=everyone, scores=everyone[:0])


def _members(job: Job, settings: Settings) -> list[Job]:
    """The job once for each member of the ensemble; the first keeps its name, and so its seeds."""
    numbers = range(2, settings.members + 1)
    return [job, *(replace(job, name=f"{job.name}_member{n}", member=n) for n in numbers)]


def _ensemble(
    cases: Cases, job: Job, settings: Settings, folder: Path | str, progress: Say
) -> tuple[Ensemble, pd.DataFrame]:
    """The job's networks, from disk where they stand there, and their learning curves."""
    jobs = _members(job, settings)
    fitted = [fitting.fit(cases, one, settings, folder, progress) for one in jobs]
    networks, curves = zip(*fitted, strict=True)
    own = cases.settings_of(job, settings)
    return Ensemble(networks, own), pd.concat(curves, ignore_index=True)


def _mean(members: list[_Outcome]) -> _Outcome:
    """What an ensemble says: the mean of its members' scores, and all their curves."""
    score = np.mean([one.score for one in members], axis=0)
    return replace(members[0], score=score, curve=_curves(members))


def _gathered(cases: Cases, rows: Rows, fold: Rows, outcomes: list[_Outcome]) -> Scores:
    """The folds' scores in the patients' order."""
    score = pd.concat([pd.Series(o.score, index=o.job.scores) for o in outcomes]).loc[rows]
    return Scores.of(
        cases.patients.iloc[rows],
        model="d",
        origin="out_of_fold",
        score=score.to_numpy(),
        risk=score.to_numpy(),
        fold=fold,
        event="event",
    )


def _curves(outcomes: list[_Outcome]) -> pd.DataFrame:
    """The learning curves of all networks, one below the other."""
    return pd.concat([outcome.curve for outcome in outcomes], ignore_index=True)


_seat: list[_Bench] = []


def _take_seat(bench: _Bench) -> None:
    """What a process does first: keep what jobs share, and leave when its parent is gone."""
    _seat.append(bench)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when its parent has ended, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _at_the_bench(job: Job) -> _Outcome:
    """A job's outcome, in a process of its own."""
    return _seat[0].outcome(job)
