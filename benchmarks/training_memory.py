"""How much memory training holds, all processes together, however many patients there are.

python benchmarks/training_memory.py [--patients N ...]

Pixels of random patients are written to a file, 20 slices each; then five folds' networks and the
final one are trained, two at a time, and every patient is scored, in a process of its own. Its
anonymous memory and its children's is added up (Linux); pages of the file, which all share and the
kernel takes back, are not in it. An epoch is short: memory does not depend on how many there are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from hcc_utils.models import folds, model_d, training
from hcc_utils.models.network import SIZE
from hcc_utils.study import results
from hcc_utils.study.results import Folder

BAR_GB = 2.0
SLICES = 20
SETTINGS = training.Settings(epochs=1, slices_per_epoch=320)


def write(here: Folder, n_patients: int) -> None:
    """A centre's results as notebooks 01 and 02 leave them, one patient in three with the event."""
    ids = pd.Series([f"P{number:05d}" for number in range(n_patients)])
    event = np.arange(n_patients) % 3 == 0
    patients = pd.DataFrame({"patient_id": ids, "centre": "hospital_a", "event": event})
    results.write_table(patients, here.path / "patients.csv")
    results.write_table(pd.DataFrame({"patient_id": ids.repeat(SLICES)}), here.path / "slices.csv")
    draw = np.random.default_rng(0)
    shape = (n_patients * SLICES, SIZE, SIZE)
    pixels = np.lib.format.open_memmap(here.path / "slices.npy", "w+", np.int16, shape)
    for start in range(0, len(pixels), SLICES):
        pixels[start : start + SLICES] = draw.integers(-50, 200, (SLICES, SIZE, SIZE))
    pixels.flush()


def train(here: Folder) -> None:
    """What chapter 03 trains and scores first."""
    images = model_d.Images.read(here, "event")
    fold = folds.assign(images.patients, seed=1, event="event")
    given = (images.pixels_hu, images.slices, images.patients)
    training.cross_fit(*given, fold, SETTINGS, here.path / "networks", event="event")


def anonymous_gb(process: int) -> float:
    """What a process and its children hold and no file stands for, now."""
    try:
        held = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = " ".join((task / "children").read_text("ascii") for task in tasks)
    except OSError:  # it has just ended
        return 0.0
    own = next(line for line in held.splitlines() if line.startswith("Anonymous:"))
    return int(own.split()[1]) / 2**20 + sum(anonymous_gb(int(child)) for child in children.split())


def measured(n_patients: int) -> dict[str, str]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as root:
        here = Folder(root=root, study="s", centre="development", stage="03_cnn")
        here.path.mkdir(parents=True)
        write(here, n_patients)
        pixels_gb = (here.path / "slices.npy").stat().st_size / 2**30
        began, peak = time.monotonic(), 0.0
        with subprocess.Popen([sys.executable, __file__, "--train", root]) as process:
            while process.poll() is None:
                peak = max(peak, anonymous_gb(process.pid))
                time.sleep(0.25)  # reading it stops them for a moment
        if process.returncode:
            sys.exit("the training failed: see above")
    return {
        "patients": f"{n_patients}",
        "slices": f"{n_patients * SLICES}",
        "pixels, GB": f"{pixels_gb:.2f}",
        "memory at most, GB": f"{peak:.2f}",
        "bar, GB": f"{BAR_GB:g}",
        "holds": "yes" if peak <= BAR_GB else "no",
        "seconds": f"{time.monotonic() - began:.0f}",
    }


def main() -> None:
    """Print a row for each number of patients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, nargs="+", default=[332, 3320])
    parser.add_argument("--train", help="the folder of results, in the process that is measured")
    asked = parser.parse_args()
    if asked.train:
        train(Folder(root=asked.train, study="s", centre="development", stage="03_cnn"))
        return
    rows = [measured(number) for number in asked.patients]
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
