"""Model D at a centre: trained and scored out of fold in development, frozen elsewhere.

A study that cannot train a network may borrow another study's, to show that the path runs: such
scores are a demonstration, and nothing may be judged by them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import comparison
from hcc_utils.models import folds, noise_probe, record, training
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.cases import Cases
from hcc_utils.models.network import Network
from hcc_utils.models.scorers import Scorers
from hcc_utils.models.scoring import Pixels
from hcc_utils.models.settings import PROFILES, Settings
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import COLUMNS, Scores

NETWORKS = "networks"  # every trained network stays here, so that an interrupted run goes on


@dataclass(frozen=True)
class Images:
    """A centre's patients that have slices, their slices and the pixels."""

    patients: pd.DataFrame
    slices: pd.DataFrame
    pixels_hu: Pixels
    endpoint: str

    @classmethod
    def read(cls, here: Folder, endpoint: str) -> Images:
        """
        What notebooks 01 and 02 left for a centre.

        Parameters
        ----------
        here : Folder
            The centre's results.
        endpoint : str
            The outcome's column.

        Returns
        -------
        Images
            Patients without slices are left aside: imaging_problems.csv says why.
        """
        patients, slices = here.read("patients.csv"), here.read("slices.csv")
        seen = patients[patients["patient_id"].isin(slices["patient_id"])].reset_index(drop=True)
        return cls(seen, slices, np.load(here.path / "slices.npy", mmap_mode="r"), endpoint)


@dataclass(frozen=True)
class ModelD:
    """
    Model D's scores at a centre.

    Parameters
    ----------
    scores : Scores
        Out of fold in development, external elsewhere; a demonstration where the network is
        another study's.
    curves : pandas.DataFrame
        How the networks behind it were trained: ``network``, ``epoch``, ``loss``, ``inner_auc``.
    network : Network
        The one that scores other centres, or the first of an ensemble.
    noise : pandas.DataFrame
        What noise alone does to scores, as `noise_probe.noise_probe` tells.
    note : str
        What a reader must know of the training.
    inner : pandas.DataFrame
        In development: inner scores with ``outer_fold``, no rows where the loop was not nested.
    bundle : Bundle or None
        In development: the final network, for other centres.
    settings : Settings or None
        In development: those of all trainings. A learnt window is each network's own.
    """

    scores: Scores
    curves: pd.DataFrame
    network: Network
    noise: pd.DataFrame
    note: str
    inner: pd.DataFrame
    bundle: Bundle | None = None
    settings: Settings | None = None

    @property
    def metrics(self) -> pd.DataFrame:
        """The figures of the scores; no row for a demonstration, which may not be judged."""
        if _is_shown(self.scores):
            return pd.DataFrame(columns=list(comparison.COLUMNS))
        return comparison.compare(self.scores)

    @property
    def distribution(self) -> pd.DataFrame:
        """What a figure shows of the scores: a demonstration's without the outcome."""
        columns = ["model", "risk"] if _is_shown(self.scores) else ["model", "risk", "event"]
        return self.scores.table[columns]

    def write(self, here: Folder) -> None:
        """
        Nothing; scores, and in development all that the bundle needs, stand in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        self.scores.write(here.own("scores_d.csv"))
        if self.bundle is not None:
            here.write(self.curves, record.CURVES)
            here.write(self.noise, record.NOISE)
            here.write(self.inner, "inner_scores_d.csv")
            self.bundle.write(here.path)


def origin(here: Folder, *, bundle: str) -> str:
    """
    The origin that a centre's scores have.

    Parameters
    ----------
    here : Folder
        The centre's results.
    bundle : str
        The frozen bundle's folder, or nothing.

    Returns
    -------
    str
        ``out_of_fold`` where the networks are trained, ``external`` at a validation centre, and
        ``demonstration`` for development patients scored by a bundle: it is another study's.
    """
    if not bundle:
        return "out_of_fold"
    return "demonstration" if here.centre == "development" else "external"


def at_centre(
    study: Manifest, images: Images, *, here: Folder, bundle: str, profile: str
) -> ModelD:
    """
    Model D's scores of a centre's patients.

    Parameters
    ----------
    study : Manifest
        Its seed draws the folds; the bundle keeps whether its images are synthetic.
    images : Images
        The centre's patients and slices.
    here : Folder
        Its results; networks in training are kept there.
    bundle : str
        The frozen bundle's folder; empty in development, where the networks are trained.
    profile : str
        ``tiny``, ``fast`` or ``full``: how long they are trained.

    Returns
    -------
    ModelD
        Scores with their origin.
    """
    made = here.read_json("preprocessing.json")
    if bundle:
        return _frozen(images, Path(bundle), made, origin(here, bundle=bundle))
    return _development(study, images, here.path / NETWORKS, made, profile)


def settings_of(study: Manifest, profile: str) -> Settings:
    """
    How a study's networks are trained.

    Parameters
    ----------
    study : Manifest
        Its seed, and what it says under ``network``.
    profile : str
        ``tiny``, ``fast`` or ``full``: how long.

    Returns
    -------
    Settings
        Of the leak-free protocol; `training.tuned` balances as the paper does.

    Raises
    ------
    InputError
        If there is no such profile.
    """
    checks.one_of("profile", profile, PROFILES)
    return replace(PROFILES[profile], seed=study.seed, **study.network.model_dump())


def scorers(images: Images, found: ModelD, *, here: Folder, bundle: str) -> Scorers:
    """
    A centre's patients, each with the network that scored the patient.

    Parameters
    ----------
    images : Images
        The centre's patients and slices.
    found : ModelD
        Their scores.
    here : Folder
        The centre's results, in development with the networks.
    bundle : str
        The frozen bundle's folder; empty in development.

    Returns
    -------
    Scorers
        In development the folds' networks, elsewhere the frozen one.
    """
    cases = Cases.of(images.pixels_hu, images.slices, images.patients, images.endpoint)
    if found.settings is None:
        return Scorers.frozen(cases, Bundle.read(bundle))
    fold = found.scores.table.set_index("patient_id")["fold"]
    folds_of = fold.loc[cases.patients["patient_id"]].to_numpy(np.int64)
    return Scorers.of_folds(cases, folds_of, found.settings, here.path / NETWORKS)


def _development(
    study: Manifest, images: Images, folder: Path, made: dict[str, Any], profile: str
) -> ModelD:
    """Networks trained without each fold, and one on everybody for other centres."""
    settings = settings_of(study, profile)
    fold = folds.assign(images.patients, seed=study.seed, event=images.endpoint)
    given = (images.pixels_hu, images.slices, images.patients)
    scores, curves = training.cross_fit(*given, fold, settings, folder, event=images.endpoint)
    ensemble, final = training.refit(*given, settings, folder, event=images.endpoint)
    noise = noise_probe.noise_probe(*given, fold, settings, folder, event=images.endpoint)
    inner = pd.DataFrame(columns=[*COLUMNS, "outer_fold"])
    if profile == "full":
        nested, _ = training.nested(*given, fold, settings, folder, event=images.endpoint)
        inner = pd.concat([s.table.assign(outer_fold=outer) for outer, s in nested.items()])
    bundle = Bundle(
        network=ensemble.first,
        others=ensemble.members[1:],
        settings=ensemble.settings,
        preprocessing=made,
        training_centres=sorted(images.patients["centre"].unique()),
        seed=study.seed,
        synthetic=study.synthetic,
        versions={name: metadata.version(name) for name in ("torch", "numpy", "hcc-utils")},
    )
    curves = pd.concat([curves, final], ignore_index=True)
    note = _words(profile, settings)
    return ModelD(scores, curves, ensemble.first, noise, note, inner, bundle, settings)


def _frozen(images: Images, folder: Path, made: dict[str, Any], origin: str) -> ModelD:
    """The frozen network's scores of patients whom it has never seen."""
    bundle = Bundle.read(folder)
    bundle.require_new_centres(images.patients)
    bundle.require_preprocessing(**made)
    scores = training.scores(
        bundle.ensemble,
        images.pixels_hu,
        images.slices,
        images.patients,
        origin=origin,
        event=images.endpoint,
    )
    curves, noise = (results.read_table(folder / name) for name in (record.CURVES, record.NOISE))
    note = "The frozen network was applied once; nothing was fitted here."
    if origin == "demonstration":
        note = _demonstration_words(bundle, len(images.patients))
    return ModelD(scores, curves, bundle.network, noise, note, curves[:0])


def _is_shown(scores: Scores) -> bool:
    """Whether the scores only show that the path runs."""
    return set(scores.table["origin"]) == {"demonstration"}


def _demonstration_words(bundle: Bundle, patients: int) -> str:
    """What a reader must know of a borrowed network."""
    what = "synthetic images" if bundle.synthetic else "another study's patients"
    return (
        f"**Trained on {what}: no meaning.** A network of another study, made for another "
        f"endpoint, scored {patients} patient(s), to show that slices go in and scores come out. "
        f"No figure is computed from these scores, and no other chapter may use them."
    )


def _words(profile: str, settings: Settings) -> str:
    """How long the networks were trained, and what that means."""
    more = "" if settings.members == 1 else f" {_ENSEMBLE.format(settings.members)}"
    if settings.window_percentiles:
        more += f" {_STANDARDISED.format(*settings.window_percentiles)}"
    if profile == "full":
        return f"Networks were trained for at most {settings.epochs} epochs, the loop nested.{more}"
    return (
        f"**Under-trained:** profile {profile} stops after at most {settings.epochs} epochs of "
        f"{settings.slices_per_epoch} slices and leaves out the nested loop. The method is the "
        f"same; the network could be better. Profile full trains it out.{more}"
    )


_ENSEMBLE = "Each was trained {} times, under other seeds; a score is the mean of theirs."
_STANDARDISED = (
    "Each sees intensities between the percentiles {:g} and {:g} of the slices it learnt from."
)
