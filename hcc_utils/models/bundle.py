"""What leaves development for another hospital: the frozen models, in safetensors and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors
import safetensors.torch
import torch

from hcc_utils import checks
from hcc_utils.models import record
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.models.network import Network
from hcc_utils.models.settings import Settings
from hcc_utils.study import results

WEIGHTS = "network.safetensors"
_OWN = ("form", "weights_sha256")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """
    The frozen models and all that a new hospital needs to apply them.

    Parameters
    ----------
    network : Network
        The final network of Model D.
    settings : Settings
        Those it was trained with: layers and window.
    others : sequence of Network
        The further members, where it is the first of an ensemble.
    preprocessing : dict
        How slices were made, such as ``margin_pixels`` and ``size``.
    clinical, combined : dict
        Models CS and CSD, as their own modules write them.
    radiomics : dict
        The baseline beside Model D, as its own module writes it.
    thresholds : dict
        The frozen cut of each model.
    horizons : list of dict
        Model CSD by each horizon, as `models.horizon_model` writes it.
    ranges : dict
        Of each predictor in development.
    baseline : dict
        Of development: the case mix that a new centre is compared with.
    training_centres : list of str
        Whose patients the models have seen.
    seed : int
        The study's.
    synthetic : bool
        Whether the images were drawn, not taken.
    versions : dict
        Of the software.
    """

    network: Network
    settings: Settings
    preprocessing: dict[str, Any]
    clinical: dict[str, Any] = field(default_factory=dict)
    combined: dict[str, Any] = field(default_factory=dict)
    radiomics: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    horizons: list[dict[str, Any]] = field(default_factory=list)
    ranges: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    others: Sequence[Network] = ()
    training_centres: list[str] = field(default_factory=list)
    seed: int = 0
    synthetic: bool = False
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def ensemble(self) -> Ensemble:
        """What scores: the network, with the others where there are any."""
        return Ensemble([self.network, *self.others], self.settings)

    def write(self, folder: Path | str) -> None:
        """
        Nothing; the bundle stands in a folder, the record last.

        Parameters
        ----------
        folder : pathlib.Path or str
            Where ``network.safetensors`` and ``bundle.json`` shall stand.

        Raises
        ------
        InputError
            If a weight is not finite.
        """
        weights = {
            f"{_prefix(number)}{name}": weight.detach().cpu().contiguous()
            for number, network in enumerate(self.ensemble.members, start=1)
            for name, weight in network.state_dict().items()
        }
        _refuse_not_finite(weights, "the network")
        folder = Path(folder)
        with results.replacing(folder / WEIGHTS) as temporary:
            safetensors.torch.save_file(weights, temporary)
        content: dict[str, Any] = {
            "weights_sha256": results.sha256(folder / WEIGHTS),
            **{part.name: getattr(self, part.name) for part in fields(self)},
            "settings": asdict(replace(self.settings, members=1 + len(self.others))),
        }
        del content["network"], content["others"]
        record.write(content, folder)

    @classmethod
    def read(cls, folder: Path | str) -> Bundle:
        """
        A bundle, where nothing of it has changed since it was written.

        Parameters
        ----------
        folder : pathlib.Path or str
            Where it stands.

        Returns
        -------
        Bundle
            Ready to score.

        Raises
        ------
        InputError
            If a file is missing or unreadable, a byte of either has changed, or a weight is not
            finite.
        """
        folder = Path(folder)
        content = record.read(folder)
        path = folder / WEIGHTS
        if not path.is_file() or results.sha256(path) != content["weights_sha256"]:
            raise checks.InputError(
                f"{path} must be the file that {record.NAME} was written with; it is missing or "
                f"its SHA-256 differs. Copy the bundle again."
            )
        weights = safetensors.torch.load_file(path)
        _refuse_not_finite(weights, str(path))
        settings = _settings(content["settings"])
        network, *others = [settings.network().eval() for _ in range(settings.members)]
        for number, own in enumerate([network, *others], start=1):
            names = {name: f"{_prefix(number)}{name}" for name in own.state_dict()}
            own.load_state_dict({name: weights[stored] for name, stored in names.items()})
        kept = {name: value for name, value in content.items() if name not in _OWN}
        return cls(**kept | {"network": network, "settings": settings, "others": others})

    def require_preprocessing(self, **made: object) -> None:
        """
        Nothing, where slices were made as those that the network learnt from.

        Parameters
        ----------
        **made : object
            How they were made, under the names in ``preprocessing``.

        Raises
        ------
        InputError
            If a value differs or is not said.
        """
        differ = [
            f"{name} is {made.get(name)!r}, must be {needed!r}"
            for name, needed in self.preprocessing.items()
            if made.get(name) != needed
        ]
        if differ:
            raise checks.InputError(
                f"slices must be made as the bundle's were: {'; '.join(differ)}. "
                f"Run notebook 02 again with the bundle's preprocessing."
            )

    def require_new_centres(self, patients: pd.DataFrame) -> None:
        """
        Nothing, where no patient is of a centre that the models were trained on.

        Parameters
        ----------
        patients : pandas.DataFrame
            With ``centre``.

        Raises
        ------
        InputError
            If one is: that patient's scores would not be external.
        """
        checks.columns(patients, ["centre"], name="patients")
        seen = patients["centre"].isin(self.training_centres)
        if seen.any():
            raise checks.InputError(
                f"the bundle was trained on {patients.loc[seen, 'centre'].iloc[0]!r}; "
                f"{seen.sum()} of {len(patients)} patients are of its own centres, so their scores "
                f"are not external. Use development's out-of-fold scores for them."
            )


def _prefix(number: int) -> str:
    """What stands before the names of a member's weights: nothing before the first's."""
    return f"member{number}." if number > 1 else ""


def _settings(content: dict[str, Any]) -> Settings:
    """Settings, their lists turned back into tuples."""
    lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
    return Settings(**content | lists)


def _refuse_not_finite(weights: dict[str, torch.Tensor], where: str) -> None:
    """Raise where a weight is missing or infinite."""
    bad = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if bad:
        raise checks.InputError(
            f"every weight must be finite; in {where} {len(bad)} of {len(weights)} tensors are "
            f"not, first {bad[0]!r}. The training has failed or the file is damaged."
        )
