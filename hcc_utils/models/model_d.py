"""Model D at a centre: trained and scored out of fold in development, frozen elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.models import folds, record, training
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.fitting import Pixels
from hcc_utils.models.settings import PROFILES, Settings
from hcc_utils.study import results
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import COLUMNS, Scores

_NETWORKS = "networks"  # every trained network stays here, so that an interrupted run goes on


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
        Out of fold in development, external elsewhere.
    curves : pandas.DataFrame
        How the networks behind it were trained: ``network``, ``epoch``, ``loss``, ``inner_auc``.
    note : str
        What a reader must know of the training.
    inner : pandas.DataFrame
        In development: inner scores with ``outer_fold``, no rows where the loop was not nested.
    bundle : Bundle or None
        In development: the final network, for other centres.
    """

    scores: Scores
    curves: pd.DataFrame
    note: str
    inner: pd.DataFrame
    bundle: Bundle | None = None

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
            here.write(self.inner, "inner_scores_d.csv")
            self.bundle.write(here.path)


def at_centre(images: Images, *, here: Folder, bundle: str, profile: str, seed: int) -> ModelD:
    """
    Model D's scores of a centre's patients.

    Parameters
    ----------
    images : Images
        The centre's patients and slices.
    here : Folder
        Its results; networks in training are kept there.
    bundle : str
        The frozen bundle's folder; empty in development, where the networks are trained.
    profile : str
        ``tiny``, ``fast`` or ``full``: how long they are trained.
    seed : int
        The study's.

    Returns
    -------
    ModelD
        Scores with their origin.
    """
    made = here.read_json("preprocessing.json")
    if bundle:
        return _external(images, Path(bundle), made)
    checks.one_of("profile", profile, PROFILES)
    return _development(images, here.path / _NETWORKS, made, profile, seed)


def _development(
    images: Images, folder: Path, made: dict[str, Any], profile: str, seed: int
) -> ModelD:
    """Networks trained without each fold, and one on everybody for other centres."""
    settings = replace(PROFILES[profile], seed=seed)
    fold = folds.assign(images.patients, seed=seed, event=images.endpoint)
    given = (images.pixels_hu, images.slices, images.patients)
    scores, curves = training.cross_fit(*given, fold, settings, folder, event=images.endpoint)
    network, final = training.refit(*given, settings, folder, event=images.endpoint)
    inner = pd.DataFrame(columns=[*COLUMNS, "outer_fold"])
    if profile == "full":
        nested, _ = training.nested(*given, fold, settings, folder, event=images.endpoint)
        inner = pd.concat([s.table.assign(outer_fold=outer) for outer, s in nested.items()])
    bundle = Bundle(
        network=network,
        settings=settings,
        preprocessing=made,
        training_centres=sorted(images.patients["centre"].unique()),
        seed=seed,
        versions={name: metadata.version(name) for name in ("torch", "numpy", "hcc-utils")},
    )
    curves = pd.concat([curves, final], ignore_index=True)
    return ModelD(scores, curves, _words(profile, settings), inner, bundle)


def _external(images: Images, folder: Path, made: dict[str, Any]) -> ModelD:
    """The frozen network's scores of patients whom it has never seen."""
    bundle = Bundle.read(folder)
    bundle.require_new_centres(images.patients)
    bundle.require_preprocessing(**made)
    scores = training.scores(
        bundle.network,
        images.pixels_hu,
        images.slices,
        images.patients,
        bundle.settings,
        event=images.endpoint,
    )
    curves = results.read_table(folder / record.CURVES)
    note = "The frozen network was applied once; nothing was fitted here."
    return ModelD(scores, curves, note, curves[:0])


def _words(profile: str, settings: Settings) -> str:
    """How long the networks were trained, and what that means."""
    if profile == "full":
        return f"Networks were trained for at most {settings.epochs} epochs, the loop nested."
    return (
        f"**Under-trained:** profile {profile} stops after at most {settings.epochs} epochs of "
        f"{settings.slices_per_epoch} slices and leaves out the nested loop. The method is the "
        f"same; the network could be better. Profile full trains it out."
    )
