"""The bundle's record: what is frozen beside the network's weights, and that nobody changed it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hcc_utils import checks
from hcc_utils.study import results

NAME = "bundle.json"
CURVES, NOISE = "learning_curves.csv", "noise_probe.csv"  # what a reader sees of the training
SPREAD = "spread.csv"  # of development's scores, beside which another hospital's are held
_FORM = 3


def write(content: dict[str, Any], folder: Path) -> None:
    """
    Nothing; the record stands in the bundle's folder, with its form and its own hash.

    Parameters
    ----------
    content : dict
        What JSON can hold.
    folder : pathlib.Path
        The bundle's.
    """
    content = {"form": _FORM, **content}
    results.write_json(content | {"content_sha256": _hash(content)}, folder / NAME)


def read(folder: Path | str) -> dict[str, Any]:
    """
    The record of a bundle, where nothing of it has changed since it was written.

    Parameters
    ----------
    folder : pathlib.Path or str
        The bundle's.

    Returns
    -------
    dict
        Its content; the weights are not read.

    Raises
    ------
    InputError
        If it is missing, no record, changed, or of another form.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise checks.InputError(f"{path} is not there; development's run writes it (hcc run).")
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        said = content.pop("content_sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise checks.InputError(f"{path} must be a bundle's record; it is not ({error}).") from None
    if said != _hash(content):
        raise checks.InputError(
            f"{path} has been changed since it was written (its SHA-256 differs). "
            f"Copy the bundle again; a changed model is a new model."
        )
    if content["form"] != _FORM:
        raise checks.InputError(
            f"{path} has the form {content['form']}; this version reads form {_FORM}."
        )
    return content


def _hash(content: dict[str, Any]) -> str:
    """A hash of the record, whatever its line breaks."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
