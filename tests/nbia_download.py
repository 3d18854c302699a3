"""Downloads as the NBIA Data Retriever lays them out, made of links to files that are elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pydicom

MANIFEST = "manifest-1617905855234"
COLLECTION = "HCC-TACE-Seg"
HEADER = [
    *("Series UID", "Collection", "3rd Party Analysis", "Data Description URI", "Study UID"),
    *("Study Description", "Study Date", "Series Description", "Manufacturer", "Modality"),
    *("SOP Class Name", "SOP Class UID", "Number of Images", "File Size", "File Location"),
    "Download Timestamp",
]


class Series(NamedTuple):
    """Files of one series, and the names of the folders that they come into."""

    patient_id: str
    study: str
    series: str
    files: Sequence[Path]


def write(root: Path, several: Sequence[Series], *, name: str = MANIFEST) -> Path:
    """The root, once a download stands in it: LICENSE, metadata.csv and a link for each file."""
    download = root / name
    rows = [_row(one) for one in several]
    for one in several:
        folder = download / COLLECTION / one.patient_id / one.study / one.series
        folder.mkdir(parents=True)
        width = len(str(len(one.files)))
        for number, file in enumerate(one.files, start=1):
            (folder / f"1-{number:0{width}d}.dcm").symlink_to(file)
    (download / COLLECTION / "LICENSE").write_text("CC BY 4.0", "utf-8")
    with (download / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, HEADER)
        table.writeheader()
        table.writerows(rows)
    return root


def _row(one: Series) -> dict[str, object]:
    """A series' line, its location as the Windows program writes it."""
    image = pydicom.dcmread(one.files[0], stop_before_pixels=True)
    location = "\\".join([".", COLLECTION, one.patient_id, one.study, one.series])
    size = sum(file.stat().st_size for file in one.files) / 1e6
    return dict.fromkeys(HEADER, "") | {
        "Series UID": image.SeriesInstanceUID,
        "Collection": COLLECTION,
        "Study UID": image.StudyInstanceUID,
        "Study Date": one.study[:10],
        "Modality": image.Modality,
        "SOP Class UID": image.SOPClassUID,
        "Number of Images": len(one.files),
        "File Size": f"{size:.2f} MB",
        "File Location": location,
        "Download Timestamp": "2021-04-08T15:04:22.831",
    }


def folder_of(root: Path, patient_id: str, *, name: str = MANIFEST) -> Path:
    """A patient's folder."""
    return root / name / COLLECTION / patient_id
