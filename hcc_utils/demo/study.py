"""The demo study on disk: tables, codebooks, images, checksums and the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import hcc_utils
from hcc_utils import checks
from hcc_utils.demo import boxes, hospitals, patients
from hcc_utils.demo.hospitals import HOSPITALS, PIXELS, Hospital
from hcc_utils.demo.patients import PAPER, SEED
from hcc_utils.imaging import parallel
from hcc_utils.study import results

Progress = Callable[[int, int], None]

FINISHED = "demo.json"
_BEGUN = ".demo_begun.json"
_MANIFEST = "data_manifest.yaml"
_WORKERS = 2


def make(
    out: Path | str,
    count: int = PAPER,
    seed: int = SEED,
    *,
    free: bool = False,
    pixels: int = PIXELS,
    progress: Progress | None = None,
) -> None:
    """
    Nothing; the whole demo study stands in the folder.

    Parameters
    ----------
    out : pathlib.Path or str
        The folder. A finished study of the same settings there is left as it is, an unfinished
        one is gone on with, one of other settings is replaced.
    count : int, default 332
        How many patients stay in the study: the paper's 332, or another number from 60 on.
    seed : int, default 20240501
        Equal seeds give equal files.
    free : bool, default False
        Draw the events freely (`patients.make`).
    pixels : int, default 320
        Rows and columns of a slice, over the same field of view; 512 for the usual size.
    progress : callable, optional
        Called with (done, total) after each patient's images.

    Raises
    ------
    InputError
        If the folder holds a hospital that no demo made there.
    """
    out = Path(out)
    settings = _settings(count, seed, free=free, pixels=pixels)
    if _said(out / FINISHED) == settings:
        return
    _begin(out, settings)
    everyone, truth = patients.make(count, seed, free=free)
    hospitals.write(out, everyone, truth)
    _draw(out, everyone, truth, settings, progress)
    for name, hospital in HOSPITALS.items():
        if hospital.roi_source == "boxes":
            boxes.join(out / name / "roi")
        _write_checksums(out / name)
    with results.replacing(out / _MANIFEST) as temporary:
        temporary.write_text(manifest_text(".", count, seed), "utf-8")
    results.write_json(settings, out / FINISHED)
    (out / _BEGUN).unlink()


def own_seed(seed: int, patient_id: str) -> int:
    """
    A patient's own seed, whoever else is in the study.

    Parameters
    ----------
    seed : int
        The study's.
    patient_id : str
        Whose.

    Returns
    -------
    int
        From 0 to 2**32 - 1.
    """
    digest = hashlib.sha256(f"{seed} {patient_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def manifest_text(data_root: str, count: int = PAPER, seed: int = SEED) -> str:
    """
    The manifest of the demo study.

    Parameters
    ----------
    data_root : str
        The study's folder, relative to that of the manifest.
    count : int, default 332
        How many patients stay in the study.
    seed : int, default 20240501
        The seed of the study's own chance.

    Returns
    -------
    str
        YAML.
    """
    content = {
        "study": "demo" if count == PAPER else f"demo_{count}",
        "title": "Demo study: five synthetic hospitals, no clinical meaning",
        "synthetic": True,
        "endpoint": "aggressive_pd",
        "time_zero": "initial treatment",
        "seed": seed,
        "protocol": "leak_free",
        "ethics": "Not needed: nobody's data, drawn by a random number generator.",
        "funding": "None.",
        "rows_at_one_site": True,
        "data_root": data_root,
        "centres": {
            name: {
                "title": hospital.title,
                "role": hospital.role,
                "table": f"{name}/patients.csv",
                "codebook": f"{name}/codebook.yaml",
                "dicom": f"{name}/dicom",
                "roi": _roi(hospital),
                "checksums": f"{name}/SHA256SUMS",
            }
            for name, hospital in HOSPITALS.items()
        },
        "chapters_left_out": {},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _roi(hospital: Hospital) -> dict[str, str]:
    """In which form a hospital keeps its outlines, and where."""
    path = f"{hospital.name}/roi"
    if hospital.roi_source == "boxes":
        path += f"/{boxes.TABLE}"
    return {"source": hospital.roi_source, "path": path}


def _settings(count: int, seed: int, *, free: bool, pixels: int) -> dict[str, Any]:
    """All that decides what the study's files hold."""
    return {
        "patients": count,
        "seed": seed,
        "free": free,
        "pixels": pixels,
        "version": hcc_utils.__version__,
        "source": _source_hash(),
    }


def _source_hash() -> str:
    """One hash of the demo's own source files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path.name} {results.sha256(path)}\n".encode())
    return digest.hexdigest()


def _said(path: Path) -> dict[str, Any] | None:
    """What a settings file holds, or nothing where there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def _begin(out: Path, settings: dict[str, Any]) -> None:
    """Clear the folder of a study with other settings, and note what is being made."""
    begun, finished = _said(out / _BEGUN), _said(out / FINISHED)
    foreign = [name for name in HOSPITALS if (out / name).exists()]
    if foreign and begun is None and finished is None:
        raise checks.InputError(
            f"{out} holds {foreign[0]}, which no demo made there; choose an empty folder."
        )
    if begun == settings:
        return
    results.write_json({}, out / _BEGUN)  # if clearing is interrupted, the next call clears again
    (out / FINISHED).unlink(missing_ok=True)
    for name in HOSPITALS:
        shutil.rmtree(out / name, ignore_errors=True)
    results.write_json(settings, out / _BEGUN)


@dataclass(frozen=True)
class _Task:
    """One patient whose images are to be drawn."""

    folder: Path
    patient: pd.Series
    image_latent: float
    seed: int
    pixels: int


def _draw(
    out: Path,
    everyone: pd.DataFrame,
    truth: pd.DataFrame,
    settings: dict[str, Any],
    progress: Progress | None,
) -> None:
    """Write the images of everyone who has a CT."""
    latent = truth.set_index("patient_id")["image_latent"]
    tasks = [
        _Task(
            folder=out / str(patient["centre"]),
            patient=patient,
            image_latent=float(latent[patient["patient_id"]]),
            seed=own_seed(settings["seed"], str(patient["patient_id"])),
            pixels=settings["pixels"],
        )
        for _, patient in everyone[everyone["has_ct"].astype(bool)].iterrows()
    ]
    for _ in parallel.in_order(_images, tasks, workers=_WORKERS, progress=progress):
        pass


def _images(task: _Task) -> None:
    """Write one patient's series and lesion, whole or not at all."""
    from hcc_utils.demo import dicom

    name = str(task.patient["patient_id"])
    hospital = HOSPITALS[task.folder.name].with_pixels(task.pixels)
    series = task.folder / "dicom" / name
    if series.exists():
        return
    with tempfile.TemporaryDirectory(dir=task.folder, prefix=".drawing_") as folder:
        drawn = Path(folder)
        dicom.write_patient(drawn, task.patient, task.image_latent, hospital, task.seed)
        for kind in ("roi", "dicom"):  # the series last: where it stands, the patient is complete
            (task.folder / kind).mkdir(exist_ok=True)
            for part in (drawn / kind).iterdir():
                part.replace(task.folder / kind / part.name)


def _write_checksums(folder: Path) -> None:
    """Write SHA256SUMS of all that a hospital holds, in the form of sha256sum."""
    for leftover in folder.glob(".drawing_*"):
        shutil.rmtree(leftover)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{results.sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in files
        if path.name != "SHA256SUMS"
    ]
    with results.replacing(folder / "SHA256SUMS") as temporary:
        temporary.write_text("".join(lines), "utf-8")
