"""Which notebook runs for whom, from which files: the study as the workflow sees it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest

DEVELOPMENT = "development"
_CENTRE_STAGES = tuple(stage for stage in results.STAGES if stage not in results.TOGETHER)
_BEFORE: dict[str, tuple[str, ...]] = {
    "01_cohort": (),
    "02_preprocessing": ("01_cohort",),
    "03_cnn": ("01_cohort", "02_preprocessing"),
    "04_comparison": ("01_cohort", "03_cnn"),
    "05_nomogram_dca": ("04_comparison",),
    "06_survival": ("01_cohort", "04_comparison"),
}
_FROZEN = ("03_cnn", "04_comparison", "05_nomogram_dca")
_NEEDS_BUNDLE = ("03_cnn", "04_comparison", "05_nomogram_dca", "06_survival")
_READS_DATA = ("01_cohort", "02_preprocessing")
_BY_PROFILE = ("03_cnn", "08_as_published", "09_controls")
_NOTHING_TRAINED = "This study trains no network of its own, or compares no models."


def left_out(manifest: Manifest, results_root: Path) -> dict[str, str]:
    """
    The chapters that do not run, each with its reason.

    Parameters
    ----------
    manifest : Manifest
        The study; it names those that it leaves out.
    results_root : pathlib.Path
        The folder above all results: the study's own ``accepted.json`` names those that its
        tables cannot serve, and another study's bundle may be missing there.

    Returns
    -------
    dict of str to str
        By chapter.
    """
    verdict = results_root / manifest.study / "accepted.json"
    checked: dict[str, dict[str, str]] = (
        json.loads(verdict.read_text("utf-8")) if verdict.is_file() else {}
    )
    chapters = checked.get("chapters", {}) | manifest.chapters_left_out
    bundle = borrowed_bundle(manifest, results_root)
    if bundle and not (bundle / "bundle.json").is_file():
        reason = (
            f"This study borrows the network of the study {manifest.demonstrate_with}, which has "
            f"not been run here ({bundle.relative_to(results_root)} holds no bundle). Run that "
            f"study, then this one again."
        )
        chapters.setdefault("03_cnn", reason)
    if "08_as_published" not in chapters and (why := _no_peeking(manifest, chapters)):
        chapters["08_as_published"] = why
    if "09_controls" not in chapters and _trains_nothing(manifest, chapters):
        chapters["09_controls"] = _NOTHING_TRAINED
    return chapters


def run_once(validation: Collection[str]) -> dict[str, str]:
    """
    The stages that run once, with their folders.

    Parameters
    ----------
    validation : collection of str
        The accepted validation centres: without any, what stands beside development is left.

    Returns
    -------
    dict of str to str
        By stage, of `results.TOGETHER`.
    """
    return {
        stage: folder
        for stage, folder in results.TOGETHER.items()
        if validation or stage == results.BESIDE_DEVELOPMENT
    }


def _trains_nothing(manifest: Manifest, chapters: dict[str, str]) -> bool:
    """Whether there is no network of the study's own, or no comparison."""
    return bool({"03_cnn", "04_comparison"} & set(chapters) or manifest.demonstrate_with)


def _no_peeking(manifest: Manifest, chapters: dict[str, str]) -> str:
    """Why the paper's choices, which look at validation patients, are not repeated; or nothing."""
    if not (manifest.rows_at_one_site and manifest.validation):
        return (
            "The paper's choices look at validation patients too, so they are repeated only where "
            "rows_at_one_site in the manifest says that all centres' rows lie at one site."
        )
    return _NOTHING_TRAINED if _trains_nothing(manifest, chapters) else ""


def borrowed_bundle(manifest: Manifest, results_root: Path) -> Path | None:
    """
    Where another study's bundle lies, whose network a study borrows as a demonstration.

    Parameters
    ----------
    manifest : Manifest
        The study.
    results_root : pathlib.Path
        The folder above all results.

    Returns
    -------
    pathlib.Path or None
        None where it borrows none.
    """
    name = manifest.demonstrate_with
    return None if name is None else results_root / name / "bundle"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    One run of a study: written by ``hcc run``, read by the Snakefile.

    Parameters
    ----------
    manifest : str
        The manifest's path.
    results_root : str
        The folder above the study's own results folder.
    study : str
        The study's name.
    profile : str
        ``tiny``, ``fast`` or ``full``.
    data : dict of list of str
        For ``development`` and each accepted centre: the files that stages 01 and 02 read.
    left_out : list of str
        Stages that the manifest leaves out.
    has_bundle : bool
        Whether development ends in a frozen bundle.
    borrowed_bundle : str
        Another study's bundle, whose network scores development's patients as a demonstration.
    models_need_images : bool
        Whether the comparison waits for Model D.
    """

    manifest: str
    results_root: str
    study: str
    profile: str
    data: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    has_bundle: bool = True
    borrowed_bundle: str = ""
    models_need_images: bool = True

    @classmethod
    def read(cls, path: Path) -> Plan:
        """
        The plan as it was written.

        Parameters
        ----------
        path : pathlib.Path
            A ``plan.json``.

        Returns
        -------
        Plan
            Its content.
        """
        return cls(**json.loads(path.read_text("utf-8")))

    def write(self) -> Path:
        """
        Where the plan now stands; an unchanged plan is not written again.

        Returns
        -------
        pathlib.Path
            ``results/<study>/plan.json``.
        """
        path = Path(self.folder) / "plan.json"
        if not path.is_file() or Plan.read(path) != self:
            results.write_json(asdict(self), path)
        return path

    @property
    def folder(self) -> str:
        """The study's results folder."""
        return f"{self.results_root}/{self.study}"

    @property
    def validation(self) -> list[str]:
        """The accepted validation centres."""
        return [centre for centre in self.data if centre != DEVELOPMENT]

    def stages(self) -> list[str]:
        """
        The stages that run for a centre, in order.

        Returns
        -------
        list of str
            Without those left out.
        """
        return [stage for stage in _CENTRE_STAGES if stage not in self.left_out]

    def inputs(self, centre: str, stage: str) -> list[str]:
        """
        The files that a stage of a centre depends on, the program's own left aside.

        Parameters
        ----------
        centre : str
            ``development``, a validation centre, or a folder of `results.TOGETHER`.
        stage : str
            A notebook's name.

        Returns
        -------
        list of str
            Data files, and the done files of the stages before.
        """
        if stage in results.TOGETHER:
            return [self._done(each, before) for each, before in self._together(stage)]
        files = [self._done(centre, before) for before in self._before(stage)]
        if stage in _READS_DATA:
            files += self.data[centre]
        if centre != DEVELOPMENT and stage in _NEEDS_BUNDLE:
            files.append(f"{self.folder}/bundle.done.json")
        if self._borrows(centre, stage):
            files.append(f"{self.borrowed_bundle}/bundle.json")
        return files

    def parameters(self, centre: str, stage: str) -> dict[str, str]:
        """
        What papermill hands to a notebook.

        Parameters
        ----------
        centre : str
            ``development``, a validation centre, or a folder of `results.TOGETHER`.
        stage : str
            A notebook's name.

        Returns
        -------
        dict of str
            Values for its parameters cell.
        """
        given = {"manifest": self.manifest, "results_root": self.results_root}
        if stage in _BY_PROFILE:
            given["profile"] = self.profile
        if stage in results.TOGETHER:
            return given
        given["centre"] = centre
        if centre != DEVELOPMENT and stage in _NEEDS_BUNDLE:
            given["bundle"] = f"{self.folder}/bundle"
        if self._borrows(centre, stage):
            given["bundle"] = self.borrowed_bundle
        return given

    def threads(self, centre: str, stage: str) -> int:
        """
        How many cores a stage uses.

        Parameters
        ----------
        centre : str
            ``development``, a validation centre, or a folder of `results.TOGETHER`.
        stage : str
            A notebook's name.

        Returns
        -------
        int
            Two where slices are cut or the network is trained.
        """
        trains = (stage, centre) == ("03_cnn", DEVELOPMENT) and not self.borrowed_bundle
        heavy = stage == "02_preprocessing" or trains
        return 2 if heavy else 1

    def development_done(self) -> list[str]:
        """
        What must stand before the bundle is frozen.

        Returns
        -------
        list of str
            The done files of the stages that hand something to it.
        """
        return [self._done(DEVELOPMENT, stage) for stage in _FROZEN if stage in self.stages()]

    def everything_done(self) -> list[str]:
        """
        What must stand before the book is built.

        Returns
        -------
        list of str
            The done files of every centre's stages, the bundle and the stages over all centres.
        """
        files = [self._done(centre, stage) for centre in self.data for stage in self.stages()]
        if self.has_bundle:
            files.append(f"{self.folder}/bundle.done.json")
        files += [
            self._done(folder, stage)
            for stage, folder in run_once(self.validation).items()
            if stage not in self.left_out
        ]
        return files

    def _together(self, stage: str) -> list[tuple[str, str]]:
        """The centres' stages that a stage which runs once waits for."""
        if stage == "07_pooled":
            return [(centre, "06_survival") for centre in self.validation]
        if stage == results.BESIDE_DEVELOPMENT:
            return [(DEVELOPMENT, "01_cohort"), (DEVELOPMENT, "03_cnn")]
        return [(centre, "04_comparison") for centre in self.data]

    def _before(self, stage: str) -> list[str]:
        """The stages before, those left out replaced by the ones before them."""
        found: list[str] = []
        alone = {} if self.models_need_images else {"04_comparison": ("01_cohort",)}
        for before in (_BEFORE | alone)[stage]:
            found += self._before(before) if before in self.left_out else [before]
        return list(dict.fromkeys(found))

    def _borrows(self, centre: str, stage: str) -> bool:
        """Whether a stage is given another study's bundle."""
        return bool(self.borrowed_bundle) and (centre, stage) == (DEVELOPMENT, "03_cnn")

    def _done(self, centre: str, stage: str) -> str:
        return f"{self.folder}/{centre}/{stage}.done.json"
