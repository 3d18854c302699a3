"""The models by the paper's choices, which look at validation patients too, beside leak-free ones.

Only where all centres' rows lie at one site; in a folder of its own, which no other stage reads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.evaluation.gap import Cuts, gap
from hcc_utils.models import apparent, combined, model_d, training
from hcc_utils.models.model_d import Images
from hcc_utils.models.scoring import Pixels
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores
from hcc_utils.study.vocabulary import MODELS

_DEVELOPMENT = "development"
VALIDATION = "validation"  # all its patients together


@dataclass(frozen=True)
class AsPublished:
    """
    What the paper's choices give.

    Parameters
    ----------
    scores : Scores
        Protocol ``as_published``: development's apparent; at validation centres Models D and CSD
        tuned, Model CS external.
    curve : pandas.DataFrame
        How the network was trained.
    gap : pandas.DataFrame
        As `evaluation.gap.gap` gives it, with ``patients``: development, each validation centre,
        and ``validation`` for all of them. Both protocols' thresholds are Youden's on
        development: leak_free on the scores that the frozen ones came from, as_published on the
        risks of the patients of the fit.
    """

    scores: Scores
    curve: pd.DataFrame
    gap: pd.DataFrame

    def write(self, here: Folder) -> None:
        """
        Nothing; scores and gap stand in the folder.

        Parameters
        ----------
        here : Folder
            Its own.
        """
        self.scores.write(here.own("scores_as_published.csv"))
        here.write(self.gap, "gap.csv")


def at_one_site(study: Manifest, *, here: Folder, profile: str) -> AsPublished:
    """
    Models CS, D and CSD as published, of all patients of a study.

    Parameters
    ----------
    study : Manifest
        It must say that all rows lie at one site.
    here : Folder
        The results of this protocol; the other stages' lie beside it.
    profile : str
        ``tiny``, ``fast`` or ``full``: how long the network is trained.

    Returns
    -------
    AsPublished
        Scores, and what separates them from the leak-free ones.

    Raises
    ------
    InputError
        If the manifest does not say so.
    """
    if not study.rows_at_one_site:
        raise checks.InputError(
            "the paper's choices look at validation patients, so they need all rows at one site; "
            "where that is so, say rows_at_one_site: true in the manifest."
        )
    root = here.path.parent
    groups = [_DEVELOPMENT, *results.accepted(root)]
    parts = {name: Images.read(replace(here, centre=name), study.endpoint) for name in groups}
    d, curve = _scored(parts, study, here, profile)
    cs = apparent.scores({name: part.patients for name, part in parts.items()}, study.endpoint)
    csd = combined.as_published(cs, {name: d[name] for name in cs})
    scores = {name: _sum(one[name] for one in (cs, d, csd) if name in one) for name in groups}
    leak_free = {name: Scores.read(root / name / "scores.csv").at(None) for name in groups}
    return AsPublished(_sum(scores.values()), curve, _gaps(leak_free, scores))


def _scored(
    parts: dict[str, Images], study: Manifest, here: Folder, profile: str
) -> tuple[dict[str, Scores], pd.DataFrame]:
    """Each group's scores by one network that has seen them all, and its curve."""
    settings = model_d.settings_of(study, profile)
    patients = pd.concat([part.patients for part in parts.values()], ignore_index=True)
    slices = pd.concat([part.slices for part in parts.values()], ignore_index=True)
    learns = patients["patient_id"].isin(parts[_DEVELOPMENT].patients["patient_id"])
    where = here.path / model_d.NETWORKS
    with _joined([part.pixels_hu for part in parts.values()], where) as pixels_hu:
        ensemble, curve = training.tuned(
            pixels_hu, slices, patients, learns, settings, where, event=study.endpoint
        )
    scores = {
        name: training.scores(
            ensemble,
            part.pixels_hu,
            part.slices,
            part.patients,
            origin="apparent" if name == _DEVELOPMENT else "tuned",
            protocol="as_published",
            event=study.endpoint,
        )
        for name, part in parts.items()
    }
    return scores, curve


@contextmanager
def _joined(parts: list[Pixels], folder: Path) -> Iterator[Pixels]:
    """All slices in one file, as training reads them: memory would not hold those of thousands."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "slices.npy"
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
        np.concatenate(parts, out=file)
        yield file


def _gaps(leak_free: dict[str, Scores], as_published: dict[str, Scores]) -> pd.DataFrame:
    """The gap of each group, and of all validation patients together."""
    cuts = _cuts(leak_free[_DEVELOPMENT], as_published[_DEVELOPMENT])
    both = {name: leak_free[name] + as_published[name] for name in leak_free}
    validation = {name: scores for name, scores in both.items() if name != _DEVELOPMENT}
    if len(validation) > 1:
        both[VALIDATION] = _sum(validation.values())
    tables = [gap(scores, cuts).assign(patients=name) for name, scores in both.items()]
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values("model", key=_place, kind="stable", ignore_index=True)


def _cuts(leak_free: Scores, as_published: Scores) -> Cuts:
    """Each protocol's cuts from development's risks: the frozen ones, and Youden's on the fit."""
    fit = as_published.require("apparent", use="repeat the paper's thresholds").table
    return {
        "leak_free": {
            model: combined.threshold(leak_free.only(model=model))
            for model in leak_free.table["model"].unique()
        },
        "as_published": {
            model: discrimination.youden(rows["event"], rows["risk"])
            for model, rows in fit.groupby("model")
        },
    }


def _place(models: pd.Series) -> pd.Series:
    """Where each model stands in the vocabulary."""
    return models.map(list(MODELS).index)


def _sum(scores: Iterable[Scores]) -> Scores:
    """All scores, one below the other."""
    first, *others = scores
    return sum(others, start=first)
