"""Whether Model D is as good as it says, on demo studies whose truth is known.

python benchmarks/truth.py FOLDER [--seeds 5] [--permuted 1] [--profile fast] [--patients 332]

Each study has a seed of its own, never the shipped one's. Its real DICOM series and outlines go
through what notebooks 01, 02 and 03 call; then

- Model D's AUC out of fold and at validation centres must agree: their difference within 2 standard
  errors (of two independent samples), in the mean of the studies and in all of them but one (of
  five sound studies one lies beyond by chance in a fifth of all runs, two in a fiftieth);
- both must lie below the oracle's, which scores the same patients by the truth's own log odds;
- where outcomes are shuffled within centres, the AUC out of fold must be 0.5 within 3 standard
  errors.

FOLDER keeps all that is needed to go on after an interruption. A row of its tables (studies.csv,
permuted.csv), once written, is never computed again: it names the commit that it was made with.
Choose an empty folder for another state of the program. DICOM files are deleted once slices are
cut, unless --keep is given.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from hcc_utils.demo import hospitals, patients, study
from hcc_utils.evaluation import discrimination
from hcc_utils.imaging.study_slices import study_slices
from hcc_utils.models import folds, model_d, training
from hcc_utils.models.settings import PROFILES
from hcc_utils.study import cohort, results, tables
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.progress import say
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores

ROOT = Path(__file__).parents[1]
CUT: dict[str, Any] = {"margin_pixels": 5, "margin_mm": None, "size": 128}  # notebook 02's own
Row = dict[str, Any]


@dataclass(frozen=True)
class Demo:
    """One demo study on disk."""

    folder: Path
    seed: int
    profile: str

    @property
    def manifest(self) -> Manifest:
        """Its centres, and its seed for folds and training."""
        return Manifest.read(self.folder / "data_manifest.yaml")

    def stage(self, centre: str, stage: str) -> Folder:
        """A centre's results, as a notebook sees them."""
        root = self.folder / "results"
        return Folder(root=root, study=self.manifest.study, centre=centre, stage=stage)

    def images(self, centre: str) -> model_d.Images:
        """What notebooks 01 and 02 left for a centre."""
        return model_d.Images.read(self.stage(centre, "03_cnn"), self.manifest.endpoint)

    def prepare(self, n_patients: int, *, keep: bool) -> None:
        """Draw the study and cut its slices, unless that has been done."""
        done = self.folder / "prepared.json"
        if not done.is_file():
            study.make(self.folder, n_patients, self.seed)
            for centre in ("development", *self.manifest.validation):
                self.cut(centre)
            results.write_json({"commit": commit()}, done)
        for name in () if keep else hospitals.HOSPITALS:
            shutil.rmtree(self.folder / name / "dicom", ignore_errors=True)

    def cut(self, centre: str) -> None:
        """What notebooks 01 and 02 do for Model D."""
        known = self.manifest
        screened = pd.concat([tables.read(known, name) for name in known.hospitals(centre)])
        included, _ = cohort.eligible(
            screened.reset_index(drop=True),
            known.criteria_left_out,
            endpoint=known.endpoint,
            lifted=known.criteria_lifted,
        )
        found = study_slices(known, included, **CUT)
        self.stage(centre, "01_cohort").write(included, "patients.csv")
        here = self.stage(centre, "02_preprocessing")
        here.write(found.table, "slices.csv")
        here.write_array(found.pixels_hu, "slices.npy")
        here.write_json(CUT, "preprocessing.json")

    def judged(self) -> Row:
        """Model D out of fold and at validation centres, beside the oracle."""
        development = self.stage("development", "03_cnn")
        own = self.at("development", bundle="")
        own.write(development)
        external = {
            name: self.at(name, bundle=str(development.path)).scores
            for name in self.manifest.validation
        }
        pooled = Scores(pd.concat([scores.table for scores in external.values()]))
        inside, outside = self.figures(own.scores), self.figures(pooled)
        se = np.hypot(inside["se"], outside["se"])
        return {
            **{f"out_of_fold_{name}": value for name, value in inside.items()},
            **{f"external_{name}": value for name, value in outside.items()},
            "difference": inside["auc"] - outside["auc"],
            "difference_se": se,
            "difference_z": (inside["auc"] - outside["auc"]) / se,
            **{f"{name}_auc": self.figures(scores)["auc"] for name, scores in external.items()},
        }

    def at(self, centre: str, *, bundle: str) -> model_d.ModelD:
        """As notebook 03 is run for a centre."""
        return model_d.at_centre(
            self.manifest,
            self.images(centre),
            here=self.stage(centre, "03_cnn"),
            bundle=bundle,
            profile=self.profile,
        )

    def figures(self, scores: Scores) -> Row:
        """The AUC of some scores, the oracle's of the same patients, and the scores' spread."""
        table = scores.table
        truth = results.read_table(self.folder / "truth.csv").set_index("patient_id")
        found = discrimination.auc(table["event"], table["score"])
        log_odds = truth.loc[table["patient_id"], "linear_predictor"]
        return {
            "n": len(table),
            "events": int(table["event"].sum()),
            "auc": found.auc,
            "se": found.se,
            "oracle": discrimination.auc(table["event"], log_odds).auc,
            "sd_logit": float(logit(table["score"]).std()),
        }

    def permuted(self, number: int) -> Row:
        """Out of fold, where each patient has the outcome of another one of the same centre."""
        images, endpoint = self.images("development"), self.manifest.endpoint
        draw = np.random.default_rng([self.seed, number])
        outcome = images.patients.groupby("centre")[endpoint].transform(draw.permutation)
        shuffled = images.patients.assign(**{endpoint: outcome})
        scores, _ = training.cross_fit(
            images.pixels_hu,
            images.slices,
            shuffled,
            folds.assign(shuffled, seed=self.seed, event=endpoint),
            replace(PROFILES[self.profile], seed=self.seed),
            self.folder / f"permuted_{number}",
            event=endpoint,
        )
        found = discrimination.auc(scores.table["event"], scores.table["score"])
        return {"auc": found.auc, "se": found.se, "z": (found.auc - 0.5) / found.se}


def commit() -> str:
    """Which state of the program this is."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def kept(path: Path, key: Row, figures: Callable[[], Row]) -> None:
    """A row of a table on disk, computed only where none with this key stands there."""
    before = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(key))
    if (before[list(key)] == pd.Series(key)).all(axis=1).any():
        return
    say(f"{path.name}: {key}")
    row = pd.DataFrame([{**key, **figures(), "commit": commit()}])
    results.write_table(row if before.empty else pd.concat([before, row]), path)


def verdicts(studies: pd.DataFrame, permuted: pd.DataFrame) -> dict[str, bool]:
    """Each bar, in words that hold the figures it was judged by, and whether it is met."""
    beyond = int((studies["difference_z"].abs() > 2).sum())
    mean = studies["difference"].mean()
    se = np.sqrt((studies["difference_se"] ** 2).sum()) / len(studies)
    below = [studies[f"{kind}_auc"] < studies[f"{kind}_oracle"] for kind in _ORIGINS]
    found = {
        f"mean difference {mean:+.3f} within 2 SE of {se:.3f}": abs(mean) <= 2 * se,
        f"difference beyond 2 SE in {beyond} of {len(studies)} studies, 1 at most": beyond <= 1,
        "below the oracle out of fold and external": all(own.all() for own in below),
    }
    if len(permuted):
        worst = permuted["z"].abs().max()
        found[f"permuted outcome: at most {worst:.1f} SE from 0.5, 3 at most"] = worst <= 3
    return found


_ORIGINS = ("out_of_fold", "external")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="how many studies")
    parser.add_argument("--permuted", type=int, default=1, help="shuffled outcomes a study")
    parser.add_argument("--profile", default="fast", choices=PROFILES)
    parser.add_argument("--patients", type=int, default=patients.PAPER)
    parser.add_argument("--keep", action="store_true", help="do not delete DICOM files")
    asked = parser.parse_args()
    where = {name: asked.folder / f"{name}.csv" for name in ("studies", "permuted")}
    for seed in range(patients.SEED + 1, patients.SEED + 1 + asked.seeds):
        demo = Demo(asked.folder / f"{asked.patients}_{seed}", seed, asked.profile)
        demo.prepare(asked.patients, keep=asked.keep)
        key = {"patients": asked.patients, "profile": asked.profile, "seed": seed}
        kept(where["studies"], key, demo.judged)
        for number in range(1, asked.permuted + 1):
            kept(where["permuted"], key | {"number": number}, partial(demo.permuted, number))
    found = {name: _of_this_kind(path, asked) for name, path in where.items()}
    for table in found.values():
        print(table.round(3).T.to_markdown(), end="\n\n")
    judged = verdicts(**found)
    for words, met in judged.items():
        print(f"{'met' if met else 'NOT MET'}: {words}")
    sys.exit(not all(judged.values()))


def _of_this_kind(path: Path, asked: argparse.Namespace) -> pd.DataFrame:
    """A table's rows of the size and profile that was asked for."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["patients", "profile"])
    here = (table["patients"] == asked.patients) & (table["profile"] == asked.profile)
    return table[here].reset_index(drop=True)


if __name__ == "__main__":
    main()
