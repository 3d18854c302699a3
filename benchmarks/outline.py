"""How well an outline from a seed and a rough diameter agrees with phantoms whose lesion is known.

python benchmarks/outline.py [--fit] [--clicks N]

Prints the Dice coefficient for the lesions of the demo study's hospitals C, D and E, with the exact
centre and diameter and with rough ones (the centre off by up to a quarter of the radius, the
diameter by up to a fifth), beside a ball of 0.8 of the radius; and after each of N corrections on
the lesion's edge. --fit first fits the weights of the evidence (imaging/surface_weights.csv) anew,
on hospitals A and B of eight smaller studies with other seeds, their noise and slice spacing varied
as those of scanners are: no phantom serves both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from hcc_utils.demo import dicom, patients, phantoms
from hcc_utils.demo.hospitals import HOSPITALS, Hospital
from hcc_utils.demo.study import own_seed
from hcc_utils.imaging import contouring, parallel, rays, series
from hcc_utils.imaging.contouring import Pixel, Space
from hcc_utils.imaging.headers import ImagingError

FITTED_ON = ["hospital_a", "hospital_b"]
FIT_SEEDS, FIT_PATIENTS = range(7, 15), 60
NOISE_HU, SLICE_SPACINGS_MM = (10.0, 30.0), (2.5, 3.0, 5.0, 7.0)
RAYS_A_LESION = 108
SOFT_STEPS = 0.7  # by which a true place may be missed without harm
UNITS, EPOCHS, BATCH, LEARNING_RATE = 6, 12, 512, 0.02
USUAL_SHARE = 0.8  # of the radius, for the ball


class Case(NamedTuple):
    """One lesion and what is told of it."""

    found: series.Series
    masks: dict[str, np.ndarray]
    seed: Pixel
    diameter_mm: float
    kind: str


def cohort(count: int, seed: int, centres: Sequence[str]) -> list[tuple]:
    """Patients with CT: row, latent, study's seed."""
    everyone, truth = patients.make(count, seed)
    latent = truth.set_index("patient_id")["image_latent"]
    chosen = everyone[everyone["has_ct"].astype(bool) & everyone["centre"].isin(centres)]
    return [(row, float(latent[row["patient_id"]]), seed) for _, row in chosen.iterrows()]


def varied(hospital: Hospital, seed: int) -> Hospital:
    """The hospital on one of many scanners."""
    chance = np.random.default_rng(seed)
    noise_hu = float(np.exp(chance.uniform(*np.log(NOISE_HU))))
    spacing_mm = float(chance.choice(SLICE_SPACINGS_MM))
    return replace(hospital, noise_hu=noise_hu, slice_spacing_mm=spacing_mm)


def cases(folder: Path, task: tuple, *, vary: bool = False) -> Iterator[Case]:
    """A patient's series as the demo writes it, with the exact and a rough seed and diameter."""
    patient, latent, study_seed = task
    name = str(patient["patient_id"])
    seed = own_seed(study_seed, name)
    hospital = HOSPITALS[patient["centre"]]
    hospital = varied(hospital, seed) if vary else hospital
    dicom.write_patient(folder, patient, latent, hospital, seed)
    lesion = phantoms.phantom(patient, latent, hospital, seed).lesion
    listed = series.folder(folder / "dicom" / name)
    found = listed.open(listed.usable[0])
    masks = {
        header.sop_instance_uid: mask for header, mask in zip(found.slices, lesion, strict=True)
    }
    spacing = spacing_mm(found)
    places = np.argwhere(lesion)
    middle = places[np.linalg.norm((places - places.mean(axis=0)) * spacing, axis=1).argmin()]
    diameter_mm = float(patient["diameter_mm"])
    chance = np.random.default_rng(zlib.crc32(f"{study_seed} {name}".encode()))
    away = chance.normal(size=3)
    away *= 0.25 * diameter_mm / 2 * chance.uniform() ** (1 / 3) / np.linalg.norm(away)
    off = np.clip(np.rint(middle + away / spacing).astype(int), 0, np.array(lesion.shape) - 1)
    rough_mm = diameter_mm * chance.uniform(0.8, 1.2)
    for kind, (number, row, column), told_mm in (
        ("exact", middle.tolist(), diameter_mm),
        ("rough", off.tolist(), rough_mm),
    ):
        yield Case(found, masks, Pixel(list(masks)[number], row, column), told_mm, kind)


def spacing_mm(found: series.Series) -> np.ndarray:
    """Between slices, rows and columns of an even series."""
    first, second = found.slices[:2]
    return np.array([second.position_mm[2] - first.position_mm[2], *first.pixel_spacing_mm])


def true_surface(case: Case, space: Space) -> np.ndarray:
    """How far out each ray leaves the lesion: the radius of as much volume as it has inside."""
    right, down, up = rays.directions() * rays.along() * space.radius_mm
    heights = space.offsets_mm[:, 2]
    number = np.abs(up[..., None] - heights).argmin(axis=-1)
    row = np.rint((down - space.offsets_mm[number, 1]) / space.spacing_mm[0]).astype(int)
    column = np.rint((right - space.offsets_mm[number, 0]) / space.spacing_mm[1]).astype(int)
    whole = np.stack([case.masks[header.sop_instance_uid] for header in space.headers])
    _, rows, columns = whole.shape
    inside = whole[number, row.clip(0, rows - 1), column.clip(0, columns - 1)]
    return np.cbrt(3 * np.trapezoid(inside * rays.along() ** 2, rays.along(), axis=2))


def to_fit(task: tuple) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of some rays of a lesion: the evidence, the true place, the weight."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = []
        for case in cases(Path(folder), task, vary=True):
            space = Space.around(case.found, case.seed, case.diameter_mm / 2)
            evidence = rays.evidence(space.sampled(), space.radius_mm)
            place = true_surface(case, space).clip(rays.NEAREST, rays.FARTHEST).ravel()
            angles = np.broadcast_to(rays.solid_angles(), (rays.POLAR, rays.AROUND)).ravel()
            chosen = np.random.default_rng(0).choice(len(place), RAYS_A_LESION, replace=False)
            weight = (angles * place)[chosen]
            evidence = evidence.reshape(len(place), rays.STEPS, -1)[chosen]
            fitted.append((evidence.astype(np.float32), place[chosen], weight / weight.sum()))
        return fitted


def fit() -> None:
    """The network that says where on a ray the surface lies, written."""
    tasks = [task for seed in FIT_SEEDS for task in cohort(FIT_PATIENTS, seed, FITTED_ON)]
    sys.stderr.write(f"fitting on {len(tasks)} phantoms\n")
    rows = [row for each in parallel.in_order(to_fit, tasks, progress=told) for row in each]
    evidence, place, weight = (np.concatenate(column) for column in zip(*rows, strict=True))
    step = np.diff(rays.along())[0]
    target = np.exp(-0.5 * ((place[:, None] - rays.along()) / (SOFT_STEPS * step)) ** 2)
    target /= target.sum(axis=1, keepdims=True)
    usual, spread = evidence.mean(axis=(0, 1)), evidence.std(axis=(0, 1))
    seen, soft, share = (
        torch.tensor(each, dtype=torch.float32)
        for each in ((evidence - usual) / spread, target, weight / weight.mean())
    )
    model = fitted(seen, soft, share)
    direct, hidden, offset, out = (each.detach().double().numpy() for each in model)
    hidden = hidden / spread
    offset = offset - hidden @ usual
    table = pd.DataFrame(
        [*np.column_stack([direct / spread, hidden.T]), [0, *offset], [0, *out]],
        index=pd.Index([*rays.EVIDENCE, "offset", "surface"], name="evidence"),
        columns=["direct", *(f"unit_{number}" for number in range(1, UNITS + 1))],
    )
    table.to_csv(rays.WEIGHTS, float_format="%.4g", lineterminator="\n")


def fitted(
    seen: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Weights that make the true places of rays likely, by Adam."""
    torch.manual_seed(0)
    n_rays, _, n_seen = seen.shape
    shapes = (n_seen,), (UNITS, n_seen), (UNITS,), (UNITS,)
    model = tuple((0.2 * torch.randn(shape)).requires_grad_() for shape in shapes)
    direct, hidden, offset, out = model
    optimiser = torch.optim.Adam(model, LEARNING_RATE)
    batches = n_rays // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=EPOCHS * batches
    )
    for epoch in range(EPOCHS):
        total = 0.0
        for chosen in torch.randperm(n_rays)[: batches * BATCH].view(batches, BATCH):
            each = seen[chosen]
            score = each @ direct + torch.tanh(each @ hidden.T + offset) @ out
            missed = -(target[chosen] * torch.log_softmax(score, dim=1)).sum(dim=1)
            loss = (missed * weight[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        sys.stderr.write(f"epoch {epoch + 1} of {EPOCHS}: loss {total / batches:.4f}\n")
    return model


def dice(found: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> float:
    """2 |A and B| / (|A| + |B|)."""
    both = sum((found[uid] & mask).sum() for uid, mask in masks.items() if uid in found)
    sizes = sum(mask.sum() for each in (found, masks) for mask in each.values())
    return float(2 * both / sizes)


def correction(found: dict[str, np.ndarray], case: Case, chance: np.random.Generator) -> Pixel:
    """What a reader would click: of the true surface, what is nearest to the deepest error."""
    true = np.stack(list(case.masks.values()))
    drawn = np.stack([found.get(uid, np.zeros_like(mask)) for uid, mask in case.masks.items()])
    depth = [ndimage.distance_transform_edt(wrong) for wrong in true ^ drawn]
    deepest = np.unravel_index(np.argmax(depth), true.shape)
    surface = np.argwhere(true & ~ndimage.binary_erosion(true))
    spacing = spacing_mm(case.found)
    nearest = surface[np.linalg.norm((surface - deepest) * spacing, axis=1).argmin()]
    if case.kind == "rough":
        angle, far = chance.uniform(0, 2 * np.pi), np.sqrt(chance.uniform())
        off = 0.05 * case.diameter_mm / spacing[1] * far * np.array([np.sin(angle), np.cos(angle)])
        nearest = nearest + np.rint([0, *off]).astype(int)
    number, row, column = nearest.tolist()
    return Pixel(list(case.masks)[number], row, column)


def within_reach(space: Space, click: Pixel) -> bool:
    """Whether the tool would take it."""
    try:
        space.places([click])
    except ImagingError:
        return False
    return True


def measured(task: tuple) -> list[dict]:
    """A lesion's Dice, after each correction."""
    *task, clicks = task
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder), tuple(task)):
            edge: list[Pixel] = []
            chance = np.random.default_rng(zlib.crc32(case.seed.sop_instance_uid.encode()))
            row = {"told": case.kind, "two_lobes": task[0]["fusion_lesion"] is True}
            space = Space.around(case.found, case.seed, case.diameter_mm / 2)
            ball = np.full((rays.POLAR, rays.AROUND), USUAL_SHARE * space.radius_mm)
            row["ball"] = dice(space.masks(ball), case.masks)
            for number in range(clicks + 1):
                found = contouring.contour(case.found, case.seed, case.diameter_mm, edge).masks
                row[f"after {number}"] = dice(found, case.masks)
                click = correction(found, case, chance)
                if within_reach(space, click):  # with a rough diameter some edges are not
                    edge.append(click)
            rows.append(row)
    return rows


def measure(clicks: int) -> None:
    """Print Dice over the held-out hospitals."""
    held_out = [name for name in HOSPITALS if name not in FITTED_ON]
    tasks = [(*task, clicks) for task in cohort(patients.PAPER, patients.SEED, held_out)]
    rows = [row for each in parallel.in_order(measured, tasks, progress=told) for row in each]
    table = pd.DataFrame(rows)
    for lobes, part in (("all", table), *table.groupby("two_lobes")):
        for kind, group in part.groupby("told"):
            values = group.drop(columns=["told", "two_lobes"])
            said = {"all": "all", True: "two lobes", False: "one lobe"}[lobes]
            print(f"\n{said}, {kind} seed and diameter: {len(group)} lesions")
            summary = pd.DataFrame(
                {
                    "mean": values.mean(),
                    "median": values.median(),
                    "5th percentile": values.quantile(0.05),
                    "below .85": (values < 0.85).mean(),
                }
            )
            print(summary.round(3).to_markdown())


def told(done: int, total: int) -> None:
    """Show how far it is."""
    sys.stderr.write(f"\r{done} of {total}" + "\n" * (done == total))


def main() -> None:
    """Fit if asked, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--clicks", type=int, default=3)
    asked = parser.parse_args()
    if asked.fit:
        fit()
    measure(asked.clicks)


if __name__ == "__main__":
    main()
