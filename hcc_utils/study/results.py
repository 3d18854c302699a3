"""Tables handed from stage to stage, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.study import vocabulary

STAGES: tuple[str, ...] = (
    "01_cohort",
    "02_preprocessing",
    "03_cnn",
    "04_comparison",
    "05_nomogram_dca",
    "06_survival",
    "07_pooled",
    "08_as_published",
    "09_controls",
)
# stages that run once, each in a folder of its own: over all centres, or beside development
TOGETHER: dict[str, str] = {
    "07_pooled": "pooled",
    "08_as_published": "as_published",
    "09_controls": "controls",
}
BESIDE_DEVELOPMENT = "09_controls"  # the one of them that needs no validation centre

_WRITES: dict[str, tuple[str, ...]] = {
    "01_cohort": (
        "patients.csv",
        "flow.csv",
        "criteria.csv",
        "table_one.csv",
        "follow_up.csv",
        "short_follow_up.csv",
        "event_fraction.csv",
        "agreement.csv",
        "limits_of_agreement.csv",
        "adjudication.csv",
        "missing.csv",
    ),
    "02_preprocessing": (
        "inventory.csv",
        "slices.csv",
        "slices.npy",
        "lesions.csv",
        "scans.csv",
        "hounsfield.csv",
        "qc.csv",
        "imaging_problems.csv",
        "imaging_flow.csv",
        "preprocessing.json",
    ),
    "03_cnn": (
        "scores_d.csv",
        "scores_radiomics.csv",
        "explanation.csv",
        "shortcuts.csv",
        "pairs_of_centres.csv",
        "size.csv",
        "robustness.csv",
        "spread.csv",
        "seeds.csv",
    ),
    "04_comparison": (
        "case_mix.csv",
        "scores.csv",
        "metrics.csv",
        "roc.csv",
        "calibration.csv",
        "calibration_smooth.csv",
        "added.csv",
        "reclassification.csv",
        "subgroups.csv",
        "coefficients.csv",
        "sample_size.csv",
        "optimism.csv",
        "inclusion.csv",
        "pairs_of_factors.csv",
        "instability.csv",
        "horizon.csv",
        "horizon_risks.csv",
    ),
    "05_nomogram_dca": ("decision_curve.csv", "threshold_counts.csv"),
    "06_survival": ("survival.csv", "survival_summary.csv", "cox.csv", "codings.csv"),
    "07_pooled": ("pooled.csv",),
    "08_as_published": ("scores_as_published.csv", "gap.csv"),
    "09_controls": ("controls.csv",),
}
# what development hands to the bundle, and each validation centre to the pooled page
_DEVELOPMENT: dict[str, tuple[str, ...]] = {
    "03_cnn": (
        "learning_curves.csv",
        "noise_probe.csv",
        "inner_scores_d.csv",
        "radiomics.json",
        "network.safetensors",
        "bundle.json",
    ),
    "04_comparison": ("models.json",),
    "05_nomogram_dca": ("ranges.json",),
}
_VALIDATION: dict[str, tuple[str, ...]] = {"06_survival": ("export.json",)}


def files(stage: str, centre: str, *, bundle: str = "") -> tuple[str, ...]:
    """
    The files that a stage writes for a centre: every file has one writer.

    Parameters
    ----------
    stage : str
        A notebook's name, such as ``01_cohort``.
    centre : str
        ``development``, a validation centre, or a folder of `TOGETHER`.
    bundle : str, optional
        The frozen bundle that the stage was given: development then hands on nothing new.

    Returns
    -------
    tuple of str
        Names in the centre's results folder.
    """
    checks.one_of("stage", stage, STAGES)
    if centre == "development" and bundle:
        return _WRITES[stage]
    more = _DEVELOPMENT if centre == "development" else _VALIDATION
    return _WRITES[stage] + more.get(stage, ())


def accepted(study: Path | str) -> list[str]:
    """
    The validation centres whose files a run has accepted.

    Parameters
    ----------
    study : pathlib.Path or str
        The study's results, with ``accepted.json``. A centre that is not in it is not read,
        whatever lies in its folder.

    Returns
    -------
    list of str
        In the order of ``accepted.json``.
    """
    verdicts = json.loads(_there(Path(study) / "accepted.json").read_text("utf-8"))
    return [str(centre) for centre in verdicts["accepted"]]


_KINDS = {"flag": "boolean", "number": "float64"}
_TYPES = {v.name: _KINDS.get(v.kind, "str") for v in vocabulary.VARIABLES.values()}


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """
    A temporary path that takes the place of `path` when the block ends well.

    Parameters
    ----------
    path : pathlib.Path or str
        The file to be replaced; its folder is made where it is missing.

    Yields
    ------
    pathlib.Path
        Where to write. An orphan that writes on after a kill can spoil no finished file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """
    Nothing; the table stands in a CSV file (UTF-8, one header line, floats to the digit).

    Parameters
    ----------
    table : pandas.DataFrame
        Any table; its index is not written.
    path : pathlib.Path or str
        Where to.
    """
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: Path | str) -> pd.DataFrame:
    """
    A table that an earlier stage wrote, each column in the vocabulary's type.

    Parameters
    ----------
    path : pathlib.Path or str
        A CSV file of the results folder.

    Returns
    -------
    pandas.DataFrame
        Its rows: flags are nullable booleans, levels and identities text, numbers floats.

    Raises
    ------
    InputError
        If no stage has written it yet; the message names the notebook that does.
    """
    return pd.read_csv(_there(Path(path)), dtype=_TYPES, float_precision="round_trip")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One centre's results, as one stage sees them: it reads all and writes its own files."""

    root: Path | str
    study: str
    centre: str
    stage: str

    @property
    def path(self) -> Path:
        """Where the centre's results lie."""
        return Path(self.root) / self.study / self.centre

    def read(self, name: str) -> pd.DataFrame:
        """
        A table that an earlier stage wrote for this centre.

        Parameters
        ----------
        name : str
            Such as ``patients.csv``.

        Returns
        -------
        pandas.DataFrame
            See `read_table`.
        """
        return read_table(self.path / name)

    def write(self, table: pd.DataFrame, name: str) -> None:
        """
        Nothing; the table stands in the centre's folder.

        Parameters
        ----------
        table : pandas.DataFrame
            What the stage hands on.
        name : str
            One of the stage's own files.
        """
        write_table(table, self.own(name))

    def read_json(self, name: str) -> dict[str, Any]:
        """
        What an earlier stage wrote for this centre as JSON.

        Parameters
        ----------
        name : str
            Such as ``models.json``.

        Returns
        -------
        dict
            Its content.

        Raises
        ------
        InputError
            If it is not there yet.
        """
        path = _there(self.path / name)
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return content

    def write_json(self, content: dict[str, Any], name: str) -> None:
        """
        Nothing; the content stands in the centre's folder.

        Parameters
        ----------
        content : dict
            What JSON can hold.
        name : str
            One of the stage's own ``.json`` files.
        """
        write_json(content, self.own(name))

    def write_array(self, array: npt.NDArray[np.generic], name: str) -> None:
        """
        Nothing; the array stands in the centre's folder.

        Parameters
        ----------
        array : numpy.ndarray
            What the stage hands on.
        name : str
            One of the stage's own ``.npy`` files.
        """
        with replacing(self.own(name)) as temporary:
            np.save(temporary, array, allow_pickle=False)

    def own(self, name: str) -> Path:
        """
        The path of a file that this stage may write: every file has one writer.

        Parameters
        ----------
        name : str
            One of the stage's own files.

        Returns
        -------
        pathlib.Path
            Where to.

        Raises
        ------
        InputError
            If another stage writes it.
        """
        checks.one_of(f"a file that {self.stage} writes", name, files(self.stage, self.centre))
        return self.path / name


def write_json(content: dict[str, Any], path: Path | str) -> None:
    """
    Nothing; the content stands in a JSON file.

    Parameters
    ----------
    content : dict
        What JSON can hold.
    path : pathlib.Path or str
        Where to.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")


def sha256(path: Path | str) -> str:
    """
    The SHA-256 of a file's bytes.

    Parameters
    ----------
    path : pathlib.Path or str
        Any file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _there(path: Path) -> Path:
    """The path, where its file was written."""
    if not path.is_file():
        raise checks.InputError(f"{path} is not there yet; {_writer(path.name)} writes it.")
    return path


def _writer(name: str) -> str:
    """The notebook that writes a file of this name."""
    for stage in STAGES:
        if name in files(stage, "development") + files(stage, "a validation centre"):
            return f"notebook {stage}"
    return "an earlier stage"
