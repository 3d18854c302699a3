"""The gate: which centres may run, and all that is wrong with those that may not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hcc_utils.checks import Problem, Problems
from hcc_utils.study import results, tables, vocabulary
from hcc_utils.study.codebook import Codebook
from hcc_utils.study.manifest import Manifest

FEW_EVENTS = 10  # below it an estimate is marked too_few_events

_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_STAND_INS = (-9, -99, -999, 99, 999, 9999)  # numbers that mean "not known" in many tables


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    Which validation centres may run.

    Parameters
    ----------
    accepted : tuple of str
        Validation centres that run, in the manifest's order.
    refused : dict
        For each validation centre that does not run, all its problems.
    warnings : dict
        For each centre that runs (of either role), what a reader should know.
    """

    accepted: tuple[str, ...]
    refused: Mapping[str, tuple[Problem, ...]]
    warnings: Mapping[str, tuple[Problem, ...]]


def check(manifest: Manifest, folder: Path) -> Verdict:
    """
    Which validation centres may run, once all that the study shares is found sound.

    The verdict also stands in ``accepted.json``, whose lines quote no value and no patient's id;
    no other file is touched.

    Parameters
    ----------
    manifest : Manifest
        The study.
    folder : pathlib.Path
        ``results/<study>``.

    Returns
    -------
    Verdict
        Accepted and refused validation centres, and warnings.

    Raises
    ------
    Problems
        If a codebook or a development centre is wrong: nothing may run then. All problems of all
        centres are listed.
    """
    shared = tuple(_shared(manifest))
    if shared:
        raise Problems(shared)
    states = {name: _State.of(manifest, name) for name in manifest.centres}
    problems = {name: list(state.problems) for name, state in states.items()}
    for name, found in _in_two_centres(manifest, states):
        problems[name].append(found)
    if any(problems[name] for name in manifest.development):
        raise Problems(problem for found in problems.values() for problem in found)
    refused = {name: tuple(problems[name]) for name in manifest.validation if problems[name]}
    verdict = Verdict(
        accepted=tuple(name for name in manifest.validation if name not in refused),
        refused=refused,
        warnings={
            name: state.warnings
            for name, state in states.items()
            if state.warnings and name not in refused
        },
    )
    results.write_json(_redacted(verdict), folder / "accepted.json")
    return verdict


def _redacted(verdict: Verdict) -> dict[str, object]:
    """The verdict in lines that quote no value and no id."""
    lines = {
        kind: {name: [problem.redacted for problem in problems] for name, problems in found.items()}
        for kind, found in (("refused", verdict.refused), ("warnings", verdict.warnings))
    }
    return {"accepted": list(verdict.accepted), **lines}


@dataclass(frozen=True, kw_only=True)
class _State:
    """What was found at one centre."""

    ids: frozenset[str]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @classmethod
    def of(cls, manifest: Manifest, name: str) -> _State:
        """Everything that can be said of a centre without opening an image."""
        problems = [*_checksums(manifest, name), *_roi(manifest, name)]
        warnings: list[Problem] = []
        ids: frozenset[str] = frozenset()
        try:
            patients = tables.read(manifest, name)
            ids = frozenset(patients["patient_id"])
            warnings += [*_events(manifest, name, patients), *_stand_ins(manifest, name, patients)]
            missing = _images(manifest, name, patients)
            problems += missing.problems
            warnings += missing.warnings
        except Problems as error:
            problems += error.problems
        return cls(ids=ids, problems=tuple(problems), warnings=tuple(warnings))


def _shared(manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with what all centres share: the data's folder and the codebooks."""
    if not Path(manifest.data_root).is_dir():
        yield Problem(f"data_root: {manifest.data_root}", "must be a folder that exists")
        return
    for name in manifest.centres:
        try:
            Codebook.read(manifest.path(name, "codebook"))
        except Problems as error:
            yield from error.problems


def _in_two_centres(
    manifest: Manifest, states: Mapping[str, _State]
) -> Iterator[tuple[str, Problem]]:
    """For each centre that shares a patient with another, who; validation centres carry it."""
    for name, state in states.items():
        for other, theirs in states.items():
            shared = sorted(state.ids & theirs.ids)
            carries = name in manifest.validation or other in manifest.development
            if name != other and shared and carries:
                rule = (
                    f"a patient_id must stand in one centre alone; {_count(shared, 'id')} "
                    f"also in {other}"
                )
                yield name, Problem(f"{manifest.centre(name).table}", rule, _some(shared))


def _checksums(manifest: Manifest, name: str) -> Iterator[Problem]:
    """Files that are not the ones whose checksums the centre wrote down."""
    listed, path = manifest.centre(name).checksums, manifest.path(name, "checksums")
    if listed is None or path is None:
        return
    if not path.is_file():
        yield Problem(listed, "there is no such file")
        return
    lines = path.read_text("utf-8", errors="replace").splitlines()
    found = [(line, _SUM.fullmatch(text)) for line, text in enumerate(lines, 1) if text.strip()]
    for line, match in found:
        if match is None:
            yield Problem(f"{listed}:{line}", "must be '<64 hexadecimal digits>  <file>'")
    sums = [(line, match[1].lower(), match[2]) for line, match in found if match]
    with ThreadPoolExecutor(2) as pool:
        actual = pool.map(_sum, (path.parent / file for _, _, file in sums))
        for (line, expected, file), real in zip(sums, actual, strict=True):
            if real != expected:
                rule = "lists a file that is not there" if real is None else _CHANGED
                yield Problem(f"{listed}:{line}", rule, file)


_CHANGED = "lists a file whose SHA-256 is another now: it was changed or damaged"


def _sum(file: Path) -> str | None:
    """A file's SHA-256, or None where there is no such file."""
    return results.sha256(file) if file.is_file() else None


def _roi(manifest: Manifest, name: str) -> Iterator[Problem]:
    """A missing ROI source."""
    path = manifest.path(name, "roi")
    if path is not None and not path.exists():
        yield Problem(f"centres.{name}.roi.path: {path.name}", "must be there and is not")


@dataclass(frozen=True, kw_only=True)
class _Images:
    """How the table and the DICOM root fit."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def _images(manifest: Manifest, name: str, patients: pd.DataFrame) -> _Images:
    """Patients without a folder, folders without a patient, series of nobody."""
    centre = manifest.centre(name)
    ids = set(patients["patient_id"])
    problems = []
    strangers = sorted(set(centre.series) - ids)
    if strangers:
        rule = f"{_count(strangers, 'patient')} with a series in the manifest has no row here"
        problems.append(Problem(centre.table, rule, _some(strangers)))
    if centre.dicom is None:
        return _Images(problems=tuple(problems))
    folders = manifest.folders(name)
    extra = sorted(folders - ids)
    if extra:
        rule = f"each folder must be named by a patient_id of the table; {len(extra)} are not"
        problems.append(Problem(centre.dicom, rule, _some(extra)))
    claimed = patients.loc[patients["has_ct"].fillna(value=False), "patient_id"]
    lost = sorted(set(claimed) - folders)
    if lost:
        rule = f"each patient with has_ct must have a folder with images; {len(lost)} have none"
        problems.append(Problem(centre.dicom, rule, _some(lost)))
    bare = sorted(ids - folders)
    if bare and not lost and "has_ct" not in Codebook.read(manifest.path(name, "codebook")).columns:
        rule = "some patients have no folder: has_ct is false for them"
        warning = Problem(centre.dicom, rule, f"{len(bare)} of {len(ids)}: {_some(bare)}")
        return _Images(problems=tuple(problems), warnings=(warning,))
    return _Images(problems=tuple(problems))


def _events(manifest: Manifest, name: str, patients: pd.DataFrame) -> Iterator[Problem]:
    """Too few events, one class only, or outcomes that are not known."""
    endpoint = manifest.endpoint
    where = f"{manifest.centre(name).table}: {endpoint}"
    known = patients[endpoint].dropna()
    if known.all() or not known.any():
        what = "have the event" if known.any() else "are without the event"
        yield Problem(where, f"all patients {what}: discrimination cannot be estimated here")
    elif min(known.sum(), (~known).sum()) < FEW_EVENTS:
        rule = f"fewer than {FEW_EVENTS} patients with or without the event: no firm estimate"
        yield Problem(where, rule, f"{known.sum()} events in {len(known)} patients")
    if len(known) < len(patients):
        yield Problem(where, "is not known for some patients", f"{len(patients) - len(known)}")


def _stand_ins(manifest: Manifest, name: str, patients: pd.DataFrame) -> Iterator[Problem]:
    """Numbers within the bounds that often mean "not known"."""
    for column in patients.select_dtypes("number").columns.intersection([*vocabulary.VARIABLES]):
        for number in _STAND_INS:
            if (patients[column] == number).sum() > 1:
                rule = f"{number} stands in several rows; if it means 'not known', say so in the "
                yield Problem(f"{manifest.centre(name).table}: {column}", f"{rule}codebook")


def _count(ids: list[str], what: str) -> str:
    """Such as "1 id" and "3 ids"."""
    return f"{len(ids)} {what}{'' if len(ids) == 1 else 's'}"


def _some(ids: list[str]) -> str:
    """The first ids."""
    return ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
