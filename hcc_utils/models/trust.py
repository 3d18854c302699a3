"""What may be believed of Model D at a centre: its shortcuts, and how firm its scores are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from hcc_utils.imaging import study_slices
from hcc_utils.models import model_d, robustness, shortcuts
from hcc_utils.models.model_d import Images, ModelD
from hcc_utils.models.scoring import Pixels
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.results import Folder

FILES = {
    "told": "shortcuts.csv",
    "centres": "pairs_of_centres.csv",
    "size": "size.csv",
    "robustness": "robustness.csv",
}
MOST_RECUT = 60  # patients whose slices are cut again


_COLUMNS = (shortcuts.TOLD, shortcuts.PAIRS, shortcuts.SIZE, robustness.COLUMNS)


@dataclass(frozen=True)
class Trust:
    """
    Tables of Model D's shortcuts and robustness; none knows a patient.

    Parameters
    ----------
    told : pandas.DataFrame
        As `shortcuts.told` gives it.
    centres : pandas.DataFrame
        As `shortcuts.within_centres` gives it.
    size : pandas.DataFrame
        As `shortcuts.size` gives it.
    robustness : pandas.DataFrame
        As `robustness.robustness` gives it.
    """

    told: pd.DataFrame
    centres: pd.DataFrame
    size: pd.DataFrame
    robustness: pd.DataFrame

    def write(self, here: Folder) -> None:
        """
        Nothing; the tables stand in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        for part in fields(self):
            here.write(getattr(self, part.name), FILES[part.name])


def trust(study: Manifest, images: Images, found: ModelD, *, here: Folder, bundle: str) -> Trust:
    """
    Shortcuts and robustness of the scores of a centre's patients.

    Parameters
    ----------
    study : Manifest
        Its seed decides every draw; its DICOM folders are read again.
    images : Images
        The centre's patients and slices.
    found : ModelD
        Their scores.
    here : Folder
        The centre's results: how it scans, and in development the networks.
    bundle : str
        The frozen bundle's folder; empty in development.

    Returns
    -------
    Trust
        In development each patient is seen by the network of the other folds, at a validation
        centre by the frozen one. Of a demonstration nothing may be judged: tables without rows.
    """
    if model_d.origin(here, bundle=bundle) == "demonstration":
        return Trust(*(pd.DataFrame(columns=list(columns)) for columns in _COLUMNS))
    scorers = model_d.scorers(images, found, here=here, bundle=bundle)
    own = found.scores.table.set_index("patient_id").loc[scorers.cases.patients["patient_id"]]
    score, event = own["score"].to_numpy(), scorers.cases.event
    network = scorers.network_of_patient
    diameter = images.patients.get("diameter_mm", pd.Series(np.nan, images.patients.index))
    sources = {"score": score, "features": scorers.features()}
    if diameter.notna().all():
        sources["diameter"] = np.log(diameter)
    return Trust(
        told=shortcuts.told(sources, _settings(images, here), network, seed=study.seed),
        centres=shortcuts.within_centres(event, score, own["centre"], seed=study.seed),
        size=shortcuts.size(event, score, diameter, network=network, seed=study.seed),
        robustness=robustness.robustness(scorers, _recut(study, images, here)),
    )


def _settings(images: Images, here: Folder) -> pd.DataFrame:
    """Where and how each patient was scanned."""
    scans = here.read("scans.csv").set_index("patient_id")
    scanned = scans.reindex(images.patients["patient_id"]).reset_index(drop=True)
    scanned["centre"] = images.patients["centre"].to_numpy()
    return scanned[list(shortcuts.SETTINGS)]


def _recut(study: Manifest, images: Images, here: Folder) -> Iterator[tuple[str, Pixels | None]]:
    """The slices of some patients, cut again from their files."""
    some = images.patients.sample(min(MOST_RECUT, len(images.patients)), random_state=study.seed)
    made = here.read_json("preprocessing.json")
    return study_slices.recut(study, some, images.slices, robustness.CUTS, **made)
