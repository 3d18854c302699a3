"""The training of one network, from epoch to epoch."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.models import augmentation, folds, hardware, ranks
from hcc_utils.models.cases import Cases, Job, Rows
from hcc_utils.models.network import Network
from hcc_utils.models.settings import Settings
from hcc_utils.models.shelf import Curve, Shelf, Tensors
from hcc_utils.study import results

Say = Callable[[str], None]
_RISE = 0.1  # share of all steps in which the learning rate rises
# what decides weights
_CODE = (
    *("augmentation", "cases", "fitting", "folds", "hardware"),
    *("network", "ranks", "scoring", "settings"),
)


def fit(
    cases: Cases, job: Job, settings: Settings, folder: Path | str, say: Say
) -> tuple[Network, pd.DataFrame]:
    """
    The job's network, from disk where the same training has been finished before.

    Parameters
    ----------
    cases : Cases
        All patients.
    job : Job
        Which of them it learns from.
    settings : Settings
        How.
    folder : pathlib.Path or str
        Where ``<name>.safetensors`` and ``<name>.json`` stand. A training that was interrupted
        goes on after its last whole epoch, to the same weights.
    say : callable
        Told one line an epoch, and where memory was too small for a batch.

    Returns
    -------
    network : Network
        Its weights after the best epoch on the inner split.
    curve : pandas.DataFrame
        One row an epoch: ``network``, ``epoch``, ``loss``, ``inner_loss``, ``inner_auc``.

    Raises
    ------
    InputError
        If a state cannot be stored (the last one stays), or memory holds no batch at all.
    """
    settings = cases.settings_of(job, settings)
    try:
        return _fit(cases, job, settings, folder, say)
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error) or ranks.number() > 1:
            raise
        smaller = settings.batch_size // 2
        if smaller < 2:
            raise checks.InputError(
                f"network {job.name!r}: memory holds not even {settings.batch_size} slices "
                f"({error}). Close other programs, or train on a machine with more memory."
            ) from error
    say(
        f"network {job.number} of {job.of} ({job.name}): memory holds no batch of "
        f"{settings.batch_size} slices; trained anew with {smaller}"
    )
    return fit(cases, job, replace(settings, batch_size=smaller), folder, say)


def _fit(
    cases: Cases, job: Job, settings: Settings, folder: Path | str, say: Say
) -> tuple[Network, pd.DataFrame]:
    """The job's network at one size of batch."""
    shelf = Shelf(Path(folder) / job.name, fingerprint(cases, job, settings))
    finished = shelf.finished()
    if finished is None:
        with hardware.threads(settings.threads):
            training = Training(cases, job, settings)
            training.restore(*shelf.partial())
            while not training.is_over:
                started = time.monotonic()
                training.run_epoch()
                if ranks.own() == 0:
                    say(training.line(time.monotonic() - started))
                    shelf.keep_partial(*training.state())
        finished = training.best, training.curve
        if ranks.own() == 0:
            shelf.keep(*finished, settings)
        ranks.wait()  # who asks for this network again must find it
    weights, curve = finished
    model = settings.network()
    model.load_state_dict(weights)
    return model.eval(), pd.DataFrame(curve).assign(network=job.name)[
        ["network", "epoch", "loss", "inner_loss", "inner_auc"]
    ]


def fingerprint(cases: Cases, job: Job, settings: Settings) -> str:
    """
    A hash of all that decides a network's weights.

    Parameters
    ----------
    cases : Cases
        All patients; only those whom the job learns from count.
    job : Job
        Its name (the seeds depend on it) and its patients.
    settings : Settings
        How it is trained.

    Returns
    -------
    str
        64 hexadecimal digits: settings, slices, outcomes, patients' names, this code, torch,
        and the kind of arithmetic. Not how many processes shared the batches: a network that
        torchrun trained is found by who trains alone, and its curve says ``ranks``.
    """
    here = Path(__file__).parent
    learns, chosen_on = _split(cases, job, settings)
    content = {
        "job": job.name,
        "settings": asdict(settings) | {"processes": None, "members": None},
        "patients": [[cases.digests[row] for row in rows] for rows in (learns, chosen_on)],
        "code": [results.sha256(here / f"{name}.py") for name in _CODE],
        "torch": torch.__version__,
        "device": hardware.device().type,
        "bfloat16": hardware.in_bfloat16(),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def is_finished(cases: Cases, job: Job, settings: Settings, folder: Path | str) -> bool:
    """
    Whether the job's network stands on disk already.

    Parameters
    ----------
    cases : Cases
        All patients.
    job : Job
        Which of them it learns from.
    settings : Settings
        How.
    folder : pathlib.Path or str
        Where networks stand.

    Returns
    -------
    bool
        True where nothing is left to train.
    """
    settings = cases.settings_of(job, settings)
    shelf = Shelf(Path(folder) / job.name, fingerprint(cases, job, settings))
    return shelf.finished() is not None


class Training:
    """A network on its way: weights, optimiser, curve, and the best weights so far."""

    def __init__(self, cases: Cases, job: Job, settings: Settings) -> None:
        hardware.keep_freed_pages()
        _refuse_uneven(settings.batch_size)
        self.cases, self.job, self.settings = cases, job, settings
        learns, self.inner = _split(cases, job, settings)
        own = cases.slices_of(learns)
        self.slices, self.copied, self.weights = _POOLS[settings.balancing](cases, own)
        with _seeded(settings.seed, job.name, "weights"):
            self.network = hardware.placed(settings.network())
        self.forward = ranks.shared(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), weight_decay=settings.weight_decay, fused=True
        )
        self.curve: Curve = []
        self.best: Tensors = {}

    @property
    def steps(self) -> int:
        """Steps an epoch: whole batches only."""
        slices = self.settings.slices_per_epoch or len(self.slices)
        return max(1, slices // self.settings.batch_size)

    @property
    def best_epoch(self) -> int:
        """
        The first epoch with the lowest loss on the inner split.

        Not the highest AUC: it soon ties at few patients, and it is blind to the scale, on which
        the folds' scores must agree before they can stand in one table.
        """
        return 1 + int(np.argmin([row["inner_loss"] for row in self.curve]))

    @property
    def is_over(self) -> bool:
        """Whether the epochs, or the patience, are used up."""
        done = len(self.curve)
        return done >= self.settings.epochs or (
            done > 0 and done - self.best_epoch >= self.settings.patience
        )

    def run_epoch(self) -> None:
        """One pass over a balanced draw of slices; then the inner split is scored."""
        with _seeded(self.settings.seed, self.job.name, str(len(self.curve))):
            n = self.steps * self.settings.batch_size
            batches = torch.multinomial(self.weights, n, replacement=True).view(self.steps, -1)
            if ranks.own():  # all have drawn the same batches; each moves its share its own way
                torch.manual_seed(torch.initial_seed() + ranks.own())
            self.network.train()
            shares = batches[:, ranks.own() :: ranks.number()]
            losses = [self._step(number, batch) for number, batch in enumerate(shares)]
        for statistic in self.network.buffers():
            statistic.copy_(ranks.mean(statistic))
        score = self.cases.scores(self.network, self.inner, self.settings)
        score = ranks.mean(torch.from_numpy(score)).numpy()  # all stop at the same epoch
        event = self.cases.event[self.inner]
        epoch = len(self.curve) + 1
        self.curve.append(
            {
                "epoch": epoch,
                "loss": ranks.mean(torch.tensor(np.mean(losses))).item(),
                "inner_loss": _balanced_loss(event, score),
                "inner_auc": discrimination.auc(event, score).auc,
                "ranks": ranks.number(),
            }
        )
        if self.best_epoch == epoch:
            self.best = {
                name: weight.detach().cpu().clone().contiguous()
                for name, weight in self.network.state_dict().items()
            }

    def _step(self, number: int, batch: torch.Tensor) -> float:
        """The loss of one batch, after which the weights have moved."""
        slices = self.slices[batch.numpy()]
        noisy = None if self.copied is None else self.copied[batch]
        event = self.cases.event[self.cases.patient_of_slice[slices]]
        pixels = torch.from_numpy(self.cases.pixels_hu[slices])
        images = augmentation.windowed(pixels, self.settings)
        images = augmentation.augmented(images, self.settings, noisy)
        target = torch.from_numpy(event).long().to(images.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(number)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=hardware.in_bfloat16()):
            logits = self.forward(images)
        loss = functional.cross_entropy(logits.float(), target)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        return loss.item()

    def _rate(self, number: int) -> float:
        """The learning rate: a short rise, then half a cosine over all epochs."""
        passed = (len(self.curve) * self.steps + number + 1) / (self.settings.epochs * self.steps)
        fall = 0.5 * (1 + math.cos(math.pi * passed))
        return self.settings.learning_rate * min(1, passed / _RISE) * fall

    def line(self, seconds: float) -> str:
        """How far this network is, and how long all may take."""
        last, job, settings = self.curve[-1], self.job, self.settings
        epochs = settings.epochs - len(self.curve)
        left = seconds * (epochs + settings.epochs * (job.of - job.number) / settings.processes)
        return (
            f"network {job.number} of {job.of} ({job.name}), epoch {len(self.curve)} of at most "
            f"{settings.epochs}: loss {last['loss']:.3f}, inner AUC {last['inner_auc']:.3f}, "
            f"{self.steps * settings.batch_size / seconds:.0f} slices/s, "
            f"at most {left / 60:.1f} min left"
        )

    def state(self) -> tuple[Tensors, Curve]:
        """All that is needed to go on."""
        moments = self.optimiser.state_dict()["state"]
        parts = {
            "network": self.network.state_dict(),
            "best": self.best,
            "optimiser": {
                f"{number}.{key}": value
                for number, values in moments.items()
                for key, value in values.items()
            },
        }
        tensors = {
            f"{part}/{name}": value.detach().cpu().contiguous()
            for part, values in parts.items()
            for name, value in values.items()
        }
        return tensors, self.curve

    def restore(self, tensors: Tensors, curve: Curve) -> None:
        """Go on from a state, where there is one."""
        if not curve:
            return
        parts: dict[str, Tensors] = {"network": {}, "best": {}, "optimiser": {}}
        for name, value in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = value
        self.network.load_state_dict(parts["network"])
        weights = list(self.network.parameters())
        moments: dict[int, Tensors] = {}
        for name, value in parts["optimiser"].items():
            number, key = name.split(".", 1)
            # the fused optimiser goes through weights and moments as they lie in memory
            alike = torch.empty_like(weights[int(number)]) if value.ndim else torch.empty(())
            moments.setdefault(int(number), {})[key] = alike.copy_(value)
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
        self.best, self.curve = parts["best"], curve


def _refuse_uneven(batch_size: int) -> None:
    """Raise where one process would learn from more slices than another."""
    if batch_size % ranks.number():
        raise checks.InputError(
            f"{ranks.number()} processes cannot share a batch of {batch_size} slices evenly; "
            f"start a number of processes that divides {batch_size}."
        )


def _split(cases: Cases, job: Job, settings: Settings) -> tuple[Rows, Rows]:
    """The patients whose slices change weights, and those on whom the epoch is chosen."""
    if job.chosen_on is not None:
        return job.learns, job.chosen_on
    learns = cases.patients.iloc[job.learns]
    parts = round(1 / settings.inner_share)
    seed = settings.seed + job.member - 1
    try:
        fold = folds.assign(learns, n_folds=parts, seed=seed, event="event")
    except checks.InputError as error:
        raise checks.InputError(
            f"network {job.name!r} learns from {len(learns)} patients, and chooses its epoch on "
            f"one in {parts} of them with both outcomes: {error}"
        ) from error
    return job.learns[fold != 0], job.learns[fold == 0]


def _balanced(cases: Cases, slices: Rows) -> torch.Tensor:
    """Chances of slices: both outcomes alike, and in each outcome every patient alike."""
    patient = cases.patient_of_slice[slices]
    event = cases.event[patient]
    patients = [len(np.unique(patient[event == which])) for which in (False, True)]
    slices_of_patient = np.bincount(patient)[patient]
    weight = 1 / (np.take(patients, event.astype(int)) * slices_of_patient)
    return torch.from_numpy(weight)


def _drawn_alike(cases: Cases, slices: Rows) -> tuple[Rows, None, torch.Tensor]:
    """The slices as they are, with balanced chances."""
    return slices, None, _balanced(cases, slices)


def _with_noisy_copies(cases: Cases, slices: Rows) -> tuple[Rows, torch.Tensor, torch.Tensor]:
    """The slices and copies of those with the event, as many as the others; which are copies."""
    event = cases.event[cases.patient_of_slice[slices]]
    copies = np.resize(slices[event], max(0, int((~event).sum() - event.sum())))
    copied = torch.arange(len(slices) + len(copies)) >= len(slices)
    return np.concatenate([slices, copies]), copied, torch.ones(len(copied), dtype=torch.float64)


_POOLS = {"draws": _drawn_alike, "noisy_copies": _with_noisy_copies}


def _balanced_loss(event: checks.Bools, score: checks.Floats) -> float:
    """The mean logarithmic loss of patients, both outcomes alike, as in the draws."""
    loss = -np.log(np.clip(np.where(event, score, 1 - score), 1e-6, 1))
    return float(loss[event].mean() + loss[~event].mean()) / 2


@contextmanager
def _seeded(*words: object) -> Iterator[None]:
    """A block whose random draws depend on these words alone, and leave no trace outside."""
    digest = hashlib.sha256(" ".join(map(str, words)).encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        yield
