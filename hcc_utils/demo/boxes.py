"""A hospital's outlines as a table: the box around the lesion on each slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils.study import results

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TABLE = "lesion_boxes.csv"


def around(images: Sequence[Dataset], lesion: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """
    The lesion's box on each slice that it touches.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        The CT's slices.
    lesion : numpy.ndarray of bool, shape (n_slices, rows, columns)
        Its pixels.

    Returns
    -------
    pandas.DataFrame
        One row a slice: ``patient_id``, ``sop_instance_uid``, ``row_min``, ``row_max``,
        ``column_min``, ``column_max`` (inclusive, from 0).
    """
    found = []
    for image, mask in zip(images, lesion, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows):
            found.append(
                {
                    "patient_id": image.PatientID,
                    "sop_instance_uid": image.SOPInstanceUID,
                    "row_min": rows.min(),
                    "row_max": rows.max(),
                    "column_min": columns.min(),
                    "column_max": columns.max(),
                }
            )
    return pd.DataFrame(found)


def join(folder: Path) -> None:
    """
    Nothing; the patients' boxes stand in one table, and their own files are gone.

    Parameters
    ----------
    folder : pathlib.Path
        With a CSV file for each patient. Rows of a table joined before stay: where the work was
        interrupted, the next call has the new patients' files beside the old table.
    """
    files = sorted(folder.glob("*.csv"))
    rows = pd.concat([pd.read_csv(file, dtype=str) for file in files]).drop_duplicates()
    results.write_table(rows.sort_values("patient_id", kind="stable"), folder / TABLE)
    for file in files:
        if file.name != TABLE:
            file.unlink()
