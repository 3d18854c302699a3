"""The gate: which centres may run, and all that is wrong with those that may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hcc_utils.checks import Problem, Problems
from hcc_utils.imaging import parallel, privacy
from hcc_utils.orchestration import fingerprint, reading
from hcc_utils.study import folders, results, tables, vocabulary
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
    chapters : dict of str to str
        The chapters that development's tables cannot serve, each with its reason.
    identifying : dict of str to str
        For each centre with DICOM files, how much in them identifies patients.
    """

    accepted: tuple[str, ...]
    refused: Mapping[str, tuple[Problem, ...]]
    warnings: Mapping[str, tuple[Problem, ...]]
    chapters: Mapping[str, str]
    identifying: Mapping[str, str]


def check(
    manifest: Manifest,
    folder: Path,
    *,
    allow: Iterable[str] = (),
    progress: parallel.Progress | None = None,
) -> Verdict:
    """
    Which validation centres may run, once all that the study shares is found sound.

    The verdict also stands in ``accepted.json``, whose lines quote no value and no patient's id,
    and beside it what spares the next run from reading unchanged files again.

    Parameters
    ----------
    manifest : Manifest
        The study.
    folder : pathlib.Path
        ``results/<study>``.
    allow : iterable of str, optional
        Rules of the reading gate (`imaging.privacy.RULES`) that somebody answers for.
    progress : callable, optional
        Called with (done, total) files whose headers are looked through.

    Returns
    -------
    Verdict
        Accepted and refused validation centres, and warnings.

    Raises
    ------
    Problems
        If a codebook or a development centre is wrong: nothing may run then. All problems of all
        centres are listed.
    InputError
        If there is no such rule.
    """
    allowed = privacy.rules(allow)
    shared = tuple(_shared(manifest))
    if shared:
        raise Problems(shared)
    states = {name: _State.of(manifest, name, folder) for name in manifest.centres}
    problems = {name: list(state.problems) for name, state in states.items()}
    for name, found in _in_two_centres(manifest, states):
        problems[name].append(found)
    looked = reading.look(manifest, folder, allow=allowed, progress=progress)
    for name, identifying in looked.items():
        problems[name] += _refused_pixels(identifying)
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
        chapters={
            c: why for name in manifest.development for c, why in states[name].chapters.items()
        },
        identifying={name: reading.summary(found) for name, found in looked.items() if len(found)},
    )
    results.write_json(_redacted(verdict), folder / "accepted.json")
    return verdict


def _refused_pixels(identifying: pd.DataFrame) -> tuple[Problem, ...]:
    """Pictures that may show a name, and that nobody answers for."""
    try:
        privacy.refuse(identifying)
    except Problems as error:
        return error.problems
    return ()


def _redacted(verdict: Verdict) -> dict[str, object]:
    """The verdict in lines that quote no value and no id."""
    lines = {
        kind: {name: [problem.redacted for problem in problems] for name, problems in found.items()}
        for kind, found in (("refused", verdict.refused), ("warnings", verdict.warnings))
    }
    return {"accepted": list(verdict.accepted), **lines, "chapters": dict(verdict.chapters)}


@dataclass(frozen=True, kw_only=True)
class _State:
    """What was found at one centre."""

    ids: frozenset[str]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    chapters: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, name: str, folder: Path) -> _State:
        """Everything that can be said of a centre without opening an image."""
        verified = folder / "fingerprints" / f"{name}.verified"
        problems = [*_checksums(manifest, name, verified), *_roi(manifest, name)]
        warnings: list[Problem] = []
        ids: frozenset[str] = frozenset()
        chapters: dict[str, str] = {}
        try:
            patients = tables.read(manifest, name)
            ids = frozenset(patients["patient_id"])
            ids_with_folders = manifest.folders(name)
            problems += _strangers(manifest, name, patients, ids_with_folders)
            warnings += _events(manifest, name, patients)
            warnings += _stand_ins(manifest, name, patients)
            warnings += _absent(manifest, name, patients)
            chapters = tables.chapters_without(manifest, patients)
            warnings += _without_folder(manifest, name, patients, ids_with_folders)
            warnings += _downloads(manifest, name)
            problems += _landmarks(manifest, name, ids)
        except Problems as error:
            problems += error.problems
        return cls(ids=ids, problems=tuple(problems), warnings=tuple(warnings), chapters=chapters)


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
                rule = f"a patient_id must stand in one centre alone; some stand in {other} too"
                yield name, Problem(manifest.centre(name).table, rule, _some(shared))


def _checksums(manifest: Manifest, name: str, verified: Path) -> Iterator[Problem]:
    """
    Files that are not the ones whose checksums the centre wrote down.

    Where sizes and times of all of them are those of the last time, when none was wrong, they are
    not read again: a hospital's images may take minutes.
    """
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
    table = manifest.path(name, "table")
    if table.resolve() not in {(path.parent / file).resolve() for _, _, file in sums}:
        yield Problem(listed, f"must list the table ({table.name})")
    files = [path.parent / file for _, _, file in sums]
    now = fingerprint.of([path, *files])
    if fingerprint.is_kept(now, verified):
        return
    with ThreadPoolExecutor(2) as pool:
        actual = list(pool.map(_sum, files))
    wrong = [
        Problem(f"{listed}:{line}", _GONE if real is None else _CHANGED, file)
        for (line, expected, file), real in zip(sums, actual, strict=True)
        if real != expected
    ]
    yield from wrong
    if not wrong:
        fingerprint.keep(now, verified)


_GONE = "lists a file that is not there"
_CHANGED = "lists a file whose SHA-256 is another now: it was changed or damaged"


def _sum(file: Path) -> str | None:
    """A file's SHA-256, or None where there is no such file."""
    return results.sha256(file) if file.is_file() else None


def _roi(manifest: Manifest, name: str) -> Iterator[Problem]:
    """A missing ROI source."""
    roi, path = manifest.centre(name).roi, manifest.path(name, "roi")
    if roi is not None and path is not None and not path.exists():
        yield Problem(f"centres.{name}.roi.path: {roi.path}", "must be there and is not")


def _strangers(
    manifest: Manifest, name: str, patients: pd.DataFrame, there: frozenset[str]
) -> Iterator[Problem]:
    """Series and folders without a patient, and patients whose images are not there."""
    centre = manifest.centre(name)
    ids = set(patients["patient_id"])
    unknown = sorted(set(centre.series) - ids)
    if unknown:
        where = f"centres.{name}.series"
        yield Problem(where, "each patient must have a row in the table", _some(unknown))
    if centre.dicom is None:
        return
    extra = sorted(there - ids)
    if extra:
        rule = f"each folder must be named by a patient_id of the table; {len(extra)} are not"
        yield Problem(centre.dicom, rule, _some(extra))
    lost = sorted(_with_ct(patients) - there)
    if lost:
        rule = f"each patient with has_ct must have a folder with images; {len(lost)} have none"
        yield Problem(centre.dicom, rule, _some(lost))


def _with_ct(patients: pd.DataFrame) -> set[str]:
    """Ids of the patients who are said to have a CT."""
    if "has_ct" not in patients:
        return set()
    return set(patients.loc[patients["has_ct"].fillna(value=False), "patient_id"])


def _without_folder(
    manifest: Manifest, name: str, patients: pd.DataFrame, there: frozenset[str]
) -> Iterator[Problem]:
    """Patients without images at a centre whose table does not say who has a CT."""
    dicom = manifest.centre(name).dicom
    bare = sorted(set(patients["patient_id"]) - there)
    said = "has_ct" in Codebook.read(manifest.path(name, "codebook")).columns
    if dicom and bare and not said:
        rule = "some patients have no folder: has_ct is false for them"
        yield Problem(dicom, rule, f"{len(bare)} of {len(patients)}: {_some(bare)}")


def _downloads(manifest: Manifest, name: str) -> Iterator[Problem]:
    """Lists of downloads that cannot be read, or that name more images than are there."""
    centre, root = manifest.centre(name), manifest.path(name, "dicom")
    for listing in folders.listings(root) if root else ():
        where = f"{centre.dicom}: {listing.parent.name}/{listing.name}"
        lines = folders.listed(listing)
        damaged = [str(one.line) for one in lines if one.n_images is None]
        if damaged:
            rule = "is damaged: lines without a number of images or a folder are left out"
            yield Problem(where, rule, _some(damaged), "Download the collection again.")
        short = [
            f"{one.patient_id} ({there} of {one.n_images})"
            for one in lines
            if one.n_images is not None and (there := _n_files(one.folder)) < one.n_images
        ]
        moved = short and not any(one.folder.exists() for one in lines)
        if short and not moved:
            rule = f"{len(short)} of its {len(lines)} series hold fewer files than it lists"
            yield Problem(where, rule, _some(short), "Download them again.")


def _landmarks(manifest: Manifest, name: str, ids: frozenset[str]) -> Iterator[Problem]:
    """Landmarks of nobody, or without images; what is wrong with their table is raised."""
    if manifest.centre(name).landmarks is None:
        return
    from hcc_utils.imaging import landmarks

    where = f"centres.{name}.landmarks"
    unknown = sorted(set(landmarks.read(manifest, name)["patient_id"]) - ids)
    if unknown:
        yield Problem(where, "each patient must have a row in the table", _some(unknown))
    if manifest.centre(name).dicom is None:
        yield Problem(where, "needs the centre's dicom folder beside it")


def _n_files(folder: Path) -> int:
    """How many files a series' folder holds; none where it is not there."""
    return sum(1 for _ in folders.files(folder)) if folder.is_dir() else 0


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


def _absent(manifest: Manifest, name: str, patients: pd.DataFrame) -> Iterator[Problem]:
    """Optional columns that the table lacks."""
    for variable, column in Codebook.read(manifest.path(name, "codebook")).columns.items():
        if variable not in patients:
            where = f"{manifest.centre(name).table}:1: column {' or '.join(column.columns)!r}"
            rule = f"is not in the header; {variable} is optional, and what needs it is left out"
            yield Problem(where, rule, remedy="Was it renamed? Then name it so in the codebook.")


def _stand_ins(manifest: Manifest, name: str, patients: pd.DataFrame) -> Iterator[Problem]:
    """Numbers within the bounds that often mean "not known"."""
    for column in patients.select_dtypes("number").columns.intersection([*vocabulary.VARIABLES]):
        for number in _STAND_INS:
            if (patients[column] == number).sum() > 1:
                rule = f"{number} stands in several rows; if it means 'not known', say so in the "
                yield Problem(f"{manifest.centre(name).table}: {column}", f"{rule}codebook")


def _some(ids: list[str]) -> str:
    """The first ids."""
    return ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
