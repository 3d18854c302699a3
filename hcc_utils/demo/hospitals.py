"""The five hospitals of the demo: their roles, their scanners and the tables they keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml

from hcc_utils.demo.conventions import CONVENTIONS, Convention
from hcc_utils.study import results, vocabulary

PIXELS = 320


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One hospital, the scanner that gives its images their look, and the form of its outlines."""

    name: str
    title: str
    role: Literal["development", "validation"]
    manufacturer: str
    model: str
    kvp: int
    kernel: str
    slice_spacing_mm: float
    pixel_spacing_mm: float
    noise_hu: float
    roi_source: Literal["seg", "rtstruct", "nifti", "boxes"]
    pixels: int = PIXELS

    def with_pixels(self, pixels: int) -> Hospital:
        """
        The hospital with slices of another matrix over the same field of view.

        Parameters
        ----------
        pixels : int
            Rows and columns of a slice.

        Returns
        -------
        Hospital
            All else as it was.
        """
        spacing = round(self.pixel_spacing_mm * self.pixels / pixels, 6)
        return replace(self, pixels=pixels, pixel_spacing_mm=spacing)


_ALL = (
    Hospital(
        name="hospital_a",
        title="Hospital A",
        role="development",
        manufacturer="Synthetic North",
        model="Phantom 64",
        kvp=120,
        kernel="B30",
        slice_spacing_mm=5.0,
        pixel_spacing_mm=1.15,
        noise_hu=12.0,
        roi_source="seg",
    ),
    Hospital(
        name="hospital_b",
        title="Hospital B",
        role="development",
        manufacturer="Synthetic East",
        model="Phantom 16",
        kvp=120,
        kernel="STANDARD",
        slice_spacing_mm=5.0,
        pixel_spacing_mm=1.2,
        noise_hu=15.0,
        roi_source="seg",
    ),
    Hospital(
        name="hospital_c",
        title="Hospital C",
        role="validation",
        manufacturer="Synthetic South",
        model="Phantom 128",
        kvp=100,
        kernel="B40",
        slice_spacing_mm=3.0,
        pixel_spacing_mm=1.1,
        noise_hu=18.0,
        roi_source="rtstruct",
    ),
    Hospital(
        name="hospital_d",
        title="Hospital D",
        role="validation",
        manufacturer="Synthetic West",
        model="Phantom 8",
        kvp=120,
        kernel="FC08",
        slice_spacing_mm=7.0,
        pixel_spacing_mm=1.25,
        noise_hu=10.0,
        roi_source="nifti",
    ),
    Hospital(
        name="hospital_e",
        title="Hospital E",
        role="validation",
        manufacturer="Synthetic North",
        model="Phantom 256",
        kvp=110,
        kernel="B20",
        slice_spacing_mm=5.0,
        pixel_spacing_mm=1.15,
        noise_hu=14.0,
        roi_source="boxes",
    ),
)

HOSPITALS: dict[str, Hospital] = {hospital.name: hospital for hospital in _ALL}


def write(out: Path, patients: pd.DataFrame, truth: pd.DataFrame) -> None:
    """
    Nothing; each hospital's table and codebook, and the truth, stand in the folder.

    Parameters
    ----------
    out : pathlib.Path
        Gets ``truth.csv`` and, for each hospital, ``patients.csv`` and ``codebook.yaml``.
    patients : pandas.DataFrame
        One row a patient of all hospitals, vocabulary columns.
    truth : pandas.DataFrame
        What is known about each.
    """
    for name, own in patients.groupby("centre"):
        convention = CONVENTIONS[str(name)]
        results.write_table(_in_own_words(own, convention), out / str(name) / "patients.csv")
        with results.replacing(out / str(name) / "codebook.yaml") as temporary:
            content = _codebook(_columns(own), convention)
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    results.write_table(truth, out / "truth.csv")


def _columns(patients: pd.DataFrame) -> list[str]:
    """What a hospital records: everything but its own name."""
    return [name for name in patients.columns if name != "centre"]


def _in_own_words(patients: pd.DataFrame, convention: Convention) -> pd.DataFrame:
    """The hospital's table, every cell as text."""
    table = {}
    for name in _columns(patients):
        values, codes = patients[name], convention.codes(name)
        if vocabulary.VARIABLES[name].kind == "number":
            cells = (values / convention.divide_by.get(name, 1)).map(_number, na_action="ignore")
        elif codes:
            cells = values.map({level: str(code) for level, code in codes.items()})
        else:
            cells = values
        known = cells.astype(object).where(values.notna(), convention.missing)
        table[convention.column(name)] = known
    return pd.DataFrame(table)


def _number(value: float) -> str:
    """A number to the digit, a whole one without a point."""
    return str(int(value)) if value.is_integer() else repr(float(np.float64(value)))


def _codebook(columns: list[str], convention: Convention) -> dict[str, object]:
    """The codebook that turns the hospital's words back into the vocabulary's."""
    said: dict[str, dict[str, object]] = {}
    for name in columns:
        said[name] = {"column": convention.column(name)}
        if codes := convention.codes(name):
            said[name]["codes"] = {code: level for level, code in codes.items()}
        if name in convention.divide_by:
            said[name]["multiply_by"] = convention.divide_by[name]
    return {"missing": sorted({"", convention.missing}), "columns": said}
