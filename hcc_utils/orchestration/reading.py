"""The gate before a hospital's images are read: looked through once, and again when they change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from hcc_utils.imaging import parallel, privacy
from hcc_utils.orchestration import closure, fingerprint
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest

_IN_DICOM = ("seg", "rtstruct", "sr")  # forms of outlines that have headers


def look(
    manifest: Manifest,
    folder: Path,
    *,
    allow: Iterable[str] = (),
    progress: parallel.Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """
    What identifies patients in each centre's images and outlines, and which rules refuse them.

    It also stands in ``privacy/<centre>.csv`` and, for those who ask what was allowed, in
    ``privacy/<centre>.json``. Headers are read where files or rules have changed since the last
    time.

    Parameters
    ----------
    manifest : Manifest
        The study.
    folder : pathlib.Path
        ``results/<study>``.
    allow : iterable of str, optional
        Keys of `imaging.privacy.RULES` that somebody answers for.
    progress : callable, optional
        Called with (done, total) files.

    Returns
    -------
    dict of pandas.DataFrame
        By centre, as `imaging.privacy.report` gives it; none where there is no DICOM file.

    Raises
    ------
    InputError
        If there is no such rule.
    """
    allowed = privacy.rules(allow)
    roots = {name: found for name in manifest.centres if (found := _roots(manifest, name))}
    files = {
        name: [file for root in found for file in fingerprint.below(root.folder)]
        for name, found in roots.items()
    }
    now = {name: fingerprint.of([*files[name], *_rules()]) for name in roots}
    stale = {
        name: found
        for name, found in roots.items()
        if not table(folder, name).is_file()
        or not fingerprint.is_kept(now[name], _looked(folder, name))
    }
    fresh = privacy.reports(stale, progress=progress)
    looked = {}
    for name in roots:
        found = fresh[name] if name in fresh else results.read_table(table(folder, name))
        looked[name] = privacy.allowing(found, allowed)
        looked[name].attrs["files"] = len(files[name])
        results.write_table(looked[name], table(folder, name))
        said = json.dumps(privacy.provenance(looked[name]), indent=2)
        fingerprint.keep(said, record(folder, name))
        fingerprint.keep(now[name], _looked(folder, name))
    return looked


def table(folder: Path, name: str) -> Path:
    """
    Where it stands which attributes and files of a centre identify patients.

    Parameters
    ----------
    folder : pathlib.Path
        ``results/<study>``.
    name : str
        The centre's.

    Returns
    -------
    pathlib.Path
        Its ``privacy/<centre>.csv``.
    """
    return folder / "privacy" / f"{name}.csv"


def record(folder: Path, name: str) -> Path:
    """
    Where it stands what a centre's headers hold and what was allowed, in counts alone.

    Parameters
    ----------
    folder : pathlib.Path
        ``results/<study>``.
    name : str
        The centre's.

    Returns
    -------
    pathlib.Path
        Its ``privacy/<centre>.json``; there is none for a centre without DICOM files.
    """
    return folder / "privacy" / f"{name}.json"


def records(files: Iterable[Path]) -> dict[str, Any]:
    """
    What the records among some files say.

    Parameters
    ----------
    files : iterable of pathlib.Path
        What a stage was given.

    Returns
    -------
    dict
        By centre.
    """
    kept = (Path(file) for file in files if Path(file).parent.name == "privacy")
    return {path.stem: json.loads(path.read_text("utf-8")) for path in kept}


def summary(found: pd.DataFrame) -> str:
    """
    How much identifies, in a line that quotes nothing.

    Parameters
    ----------
    found : pandas.DataFrame
        A centre's, as `look` gives it.

    Returns
    -------
    str
        With the rules that were allowed.
    """
    allowed = sorted(set(found.loc[found["status"] == "allowed", "rule"]))
    said = f"; allowed: {', '.join(allowed)}" if allowed else ""
    n_attributes = found["attribute"].nunique()
    return f"{n_attributes} identifying attributes in {found.attrs['files']} files{said}"


def _looked(folder: Path, name: str) -> Path:
    """Where the fingerprint is kept of what was looked through."""
    return folder / "fingerprints" / f"{name}.headers"


def _roots(manifest: Manifest, name: str) -> list[privacy.Root]:
    """A centre's folders of DICOM files."""
    dicom, outlines = manifest.path(name, "dicom"), manifest.path(name, "roi")
    roi = manifest.centre(name).roi
    there = {"dicom": dicom} if dicom is not None and dicom.is_dir() else {}
    patients = manifest.folders(name) if there else frozenset()
    if roi is not None and outlines is not None and roi.source in _IN_DICOM and outlines.is_dir():
        within = dicom is not None and outlines.resolve().is_relative_to(dicom.resolve())
        there |= {} if within else {"roi": outlines}
    return [privacy.Root(path, f"{name}/{which}", patients) for which, path in there.items()]


def _rules() -> list[Path]:
    """The files that say what is looked for."""
    tables = Path(privacy.__file__).parent.glob("*.csv")
    return [*closure.module_files(privacy.__name__), *sorted(tables)]
