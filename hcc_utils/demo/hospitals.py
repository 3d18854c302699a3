"""The five hospitals of the demo: their roles, their scanners and their own tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One hospital, and the scanner that gives its images their look."""

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
    ),
)

HOSPITALS: dict[str, Hospital] = {hospital.name: hospital for hospital in _ALL}
