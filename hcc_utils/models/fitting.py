"""One network: its slices, its training from epoch to epoch, its checkpoint on disk."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch.nn import functional

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.models import folds, harmonisation, network
from hcc_utils.models.network import Network
from hcc_utils.models.settings import Settings
from hcc_utils.study import results

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.int16]
Tensors = dict[str, torch.Tensor]
Say = Callable[[str], None]
_CHUNK = 128  # slices scored at a time
_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "could not create a", "could not execute a")
_RISE = 0.1  # share of all steps in which the learning rate rises


@dataclass(frozen=True)
class Cases:
    """Slices in memory, each with the row of its patient (patient_id, centre, event)."""

    pixels_hu: Pixels
    patient_of_slice: Rows
    patients: pd.DataFrame

    @classmethod
    def of(
        cls, pixels_hu: Pixels, slices: pd.DataFrame, patients: pd.DataFrame, event: str
    ) -> Cases:
        """
        The slices of these patients.

        Parameters
        ----------
        pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
            Intensities in Hounsfield units.
        slices : pandas.DataFrame
            One row a slice, in the same order, with ``patient_id``; other patients' are left aside.
        patients : pandas.DataFrame
            One row a patient: ``patient_id``, ``centre`` and the outcome.
        event : str
            The outcome's column.

        Returns
        -------
        Cases
            In the order of rows that was given.

        Raises
        ------
        InputError
            If slices and pixels do not belong together, or a patient has no slice.
        """
        checks.columns(slices, ["patient_id"], name="slices")
        checks.columns(patients, ["patient_id", "centre", event], name="patients")
        _refuse_pixels(pixels_hu, len(slices))
        names = pd.Index(patients["patient_id"].astype(str))
        if not names.is_unique:
            raise checks.InputError(
                f"patients must hold a patient once; {names[names.duplicated()][0]!r} stands twice."
            )
        row = names.get_indexer(slices["patient_id"].astype(str))
        without = names[~np.isin(np.arange(len(names)), row)]
        if len(without):
            raise checks.InputError(
                f"every patient needs a slice; {len(without)} of {len(names)} have none, "
                f"first {without[0]!r}. Leave them out, or look into imaging_problems.csv."
            )
        table = pd.DataFrame(
            {
                "patient_id": names,
                "centre": patients["centre"].to_numpy(),
                "event": checks.outcomes(event, patients[event]),
            }
        )
        return cls(pixels_hu[row >= 0], row[row >= 0], table)

    @property
    def event(self) -> checks.Bools:
        """True for each patient in whom it happened."""
        event: checks.Bools = self.patients["event"].to_numpy(dtype=bool)
        return event

    @functools.cached_property
    def digests(self) -> list[str]:
        """A hash of each patient's name, outcome and slices."""
        return [self._digest(row) for row in range(len(self.patients))]

    def _digest(self, row: int) -> str:
        """The hash of one patient."""
        content = hashlib.sha256(str(tuple(self.patients.iloc[row])).encode())
        content.update(self.pixels_hu[self.slices_of(np.array([row]))].tobytes())
        return content.hexdigest()

    def slices_of(self, rows: Rows) -> Rows:
        """
        The slices of some patients.

        Parameters
        ----------
        rows : numpy.ndarray of int
            The patients' rows.

        Returns
        -------
        numpy.ndarray of int
            Positions in ``pixels_hu``.
        """
        return np.flatnonzero(np.isin(self.patient_of_slice, rows))

    def settings_of(self, job: Job, settings: Settings) -> Settings:
        """
        The settings with the window that a job's network has.

        Parameters
        ----------
        job : Job
            Whose patients' intensities decide it.
        settings : Settings
            They say whether it is so.

        Returns
        -------
        Settings
            See `harmonisation.standardised`.
        """
        return harmonisation.standardised(settings, self.pixels_hu, self.slices_of(job.learns))

    def scores(self, model: Network, rows: Rows, settings: Settings) -> checks.Floats:
        """
        The mean of the slices' softmax scores for each of some patients.

        Parameters
        ----------
        model : Network
            A trained network.
        rows : numpy.ndarray of int
            The patients' rows.
        settings : Settings
            The window.

        Returns
        -------
        numpy.ndarray of float, shape (n_rows,)
            Higher is worse.
        """
        slices = self.slices_of(rows)
        score = slice_scores(model, self.pixels_hu[slices], settings)
        total = np.bincount(self.patient_of_slice[slices], score, minlength=len(self.patients))
        count = np.bincount(self.patient_of_slice[slices], minlength=len(self.patients))
        mean: checks.Floats = total[rows] / count[rows]
        return mean


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network to be trained, the patients it learns from, and those it then scores."""

    name: str
    learns: Rows
    scores: Rows
    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        """Refuse a patient on both sides."""
        both = np.intersect1d(self.learns, self.scores)
        if len(both):
            raise checks.InputError(
                f"network {self.name!r} would score {len(both)} patient(s) it learns from "
                f"(first: row {both[0]}); out-of-fold scores need separate patients."
            )


def device() -> torch.device:
    """
    Where networks are computed: CUDA, else MPS, else the CPU.

    Returns
    -------
    torch.device
        The first that is there.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def in_bfloat16() -> bool:
    """
    Whether training multiplies in bfloat16: where the processor has instructions for it.

    Returns
    -------
    bool
        Scores are always computed in float32.
    """
    where = device().type
    if where == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has = torch.cpu.get_capabilities()
    return where == "cpu" and bool(has.get("amx_bf16") or has.get("avx512_bf16"))


def windowed(pixels_hu: torch.Tensor, settings: Settings) -> torch.Tensor:
    """
    Slices on the display window's scale.

    Parameters
    ----------
    pixels_hu : torch.Tensor, shape (n, size, size)
        Intensities in Hounsfield units.
    settings : Settings
        The window.

    Returns
    -------
    torch.Tensor of float32, shape (n, 1, size, size)
        In [0, 1], on the device.
    """
    images = pixels_hu.to(device()).float().unsqueeze(1)
    return images.sub_(settings.window_low_hu).div_(settings.window_width_hu).clamp_(0, 1)


def augmented(
    images: torch.Tensor, settings: Settings, noisy: torch.Tensor | None = None
) -> torch.Tensor:
    """
    Images rotated, sheared, zoomed, shifted and made noisy, each by a draw of its own.

    Parameters
    ----------
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.
    settings : Settings
        The ranges.
    noisy : torch.Tensor of bool, shape (n,), optional
        Which of them are the paper's noisy copies; without it noise is drawn at the settings'
        rate, and since no label is known here it cannot become a cue for the outcome.

    Returns
    -------
    torch.Tensor, shape (n, 1, size, size)
        Beyond an edge its pixels are repeated.
    """
    n, size = len(images), images.shape[-1]
    grid = _grid(_moves(n, settings).to(images), size)
    images = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if noisy is None:
        noisy = torch.rand(n) < settings.noise_rate
    noise = settings.noise_sd * torch.randn(int(noisy.sum()), *images.shape[1:])
    images[noisy] += noise.to(images)
    return images


def slice_scores(model: Network, pixels_hu: Pixels, settings: Settings) -> checks.Floats:
    """
    The network's softmax score of each slice.

    Parameters
    ----------
    model : Network
        A trained network.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
        Intensities in Hounsfield units.
    settings : Settings
        The window and the number of threads.

    Returns
    -------
    numpy.ndarray of float, shape (n_slices,)
        In [0, 1]; higher is worse.
    """
    model = _placed(model).eval()
    with threads(settings.threads), torch.inference_mode():
        parts = [
            model.slice_scores(
                _laid_out(windowed(torch.from_numpy(pixels_hu[start : start + _CHUNK]), settings))
            )
            .double()
            .cpu()
            .numpy()
            for start in range(0, len(pixels_hu), _CHUNK)
        ]
    return np.concatenate([np.empty(0), *parts])


@contextmanager
def threads(number: int) -> Iterator[None]:
    """
    A block in which torch computes on so many threads.

    Parameters
    ----------
    number : int
        Threads.

    Yields
    ------
    None
        Nothing; the former number is set again at the end.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        if not _is_out_of_memory(error):
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


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory was too small; on a processor torch says so in words, oneDNN hardly."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in _OUT_OF_MEMORY)


def _fit(
    cases: Cases, job: Job, settings: Settings, folder: Path | str, say: Say
) -> tuple[Network, pd.DataFrame]:
    """The job's network at one size of batch."""
    shelf = _Shelf(Path(folder) / job.name, fingerprint(cases, job, settings))
    finished = shelf.finished()
    if finished is None:
        with threads(settings.threads):
            training = _Training(cases, job, settings)
            training.restore(*shelf.partial())
            while not training.is_over:
                started = time.monotonic()
                training.run_epoch()
                say(training.line(time.monotonic() - started))
                shelf.keep_partial(*training.state())
        finished = training.best, training.curve
        shelf.keep(*finished, settings)
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
        and the kind of arithmetic.
    """
    here = Path(__file__).parent
    content = {
        "job": job.name,
        "settings": asdict(settings) | {"processes": None},
        "patients": [cases.digests[row] for row in job.learns],
        "code": [results.sha256(here / name) for name in ("fitting.py", "network.py", "folds.py")],
        "torch": torch.__version__,
        "device": device().type,
        "bfloat16": in_bfloat16(),
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
    shelf = _Shelf(Path(folder) / job.name, fingerprint(cases, job, settings))
    return shelf.finished() is not None


class _Training:
    """A network on its way: weights, optimiser, curve, and the best weights so far."""

    def __init__(self, cases: Cases, job: Job, settings: Settings) -> None:
        _keep_freed_pages()
        self.cases, self.job, self.settings = cases, job, settings
        inner = _inner(cases, job, settings)
        self.inner = job.learns[inner]
        own = cases.slices_of(job.learns[~inner])
        self.slices, self.copied, self.weights = _POOLS[settings.balancing](cases, own)
        with _seeded(settings.seed, job.name, "weights"):
            self.network = _placed(settings.network())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), weight_decay=settings.weight_decay
        )
        self.curve: list[dict[str, float]] = []
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
            self.network.train()
            losses = [self._step(number, batch) for number, batch in enumerate(batches)]
        score = self.cases.scores(self.network, self.inner, self.settings)
        event = self.cases.event[self.inner]
        epoch = len(self.curve) + 1
        self.curve.append(
            {
                "epoch": epoch,
                "loss": float(np.mean(losses)),
                "inner_loss": _balanced_loss(event, score),
                "inner_auc": discrimination.auc(event, score).auc,
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
        images = _laid_out(augmented(windowed(pixels, self.settings), self.settings, noisy))
        target = torch.from_numpy(event).long().to(images.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(number)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=in_bfloat16()):
            logits = self.network(images)
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

    def state(self) -> tuple[Tensors, list[dict[str, float]]]:
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

    def restore(self, tensors: Tensors, curve: list[dict[str, float]]) -> None:
        """Go on from a state, where there is one."""
        if not curve:
            return
        parts: dict[str, Tensors] = {"network": {}, "best": {}, "optimiser": {}}
        for name, value in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = value
        self.network.load_state_dict(parts["network"])
        moments: dict[int, Tensors] = {}
        for name, value in parts["optimiser"].items():
            number, key = name.split(".", 1)
            moments.setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
        self.best, self.curve = parts["best"], curve


class _Shelf:
    """Where one network stands: finished (two files), or on its way (one file)."""

    def __init__(self, stem: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.weights = stem.with_name(f"{stem.name}.safetensors")
        self.record = stem.with_name(f"{stem.name}.json")
        self.on_its_way = stem.with_name(f"{stem.name}.partial.safetensors")

    def finished(self) -> tuple[Tensors, list[dict[str, float]]] | None:
        """Weights and curve, where the same training was finished and its weights are whole."""
        if not (self.record.is_file() and self.weights.is_file()):
            return None
        record = json.loads(self.record.read_text("utf-8"))
        if record["fingerprint"] != self.fingerprint:
            return None
        if record["weights_sha256"] != results.sha256(self.weights):
            return None
        return safetensors.torch.load_file(self.weights), record["curve"]

    def keep(self, best: Tensors, curve: list[dict[str, float]], settings: Settings) -> None:
        """Store a finished network; its record comes last, so that it vouches for whole weights."""
        with _stored(self.weights) as temporary:
            safetensors.torch.save_file(best, temporary)
        record: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "weights_sha256": results.sha256(self.weights),
            "settings": asdict(settings),
            "device": device().type,
            "bfloat16": in_bfloat16(),
            "torch": torch.__version__,
            "curve": curve,
        }
        results.write_json(record, self.record)
        self.on_its_way.unlink(missing_ok=True)

    def partial(self) -> tuple[Tensors, list[dict[str, float]]]:
        """The state after the last whole epoch of the same training, or nothing."""
        if not self.on_its_way.is_file():
            return {}, []
        with safetensors.safe_open(self.on_its_way, "pt") as file:
            record = file.metadata()
            if record["fingerprint"] != self.fingerprint:
                return {}, []
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(record["curve"])

    def keep_partial(self, tensors: Tensors, curve: list[dict[str, float]]) -> None:
        """Store a state, in the place of the one before."""
        record = {"fingerprint": self.fingerprint, "curve": json.dumps(curve)}
        with _stored(self.on_its_way) as temporary:
            safetensors.torch.save_file(tensors, temporary, record)


@contextmanager
def _stored(path: Path) -> Iterator[Path]:
    """As `results.replacing`; a full disk is told in words, and what stood there stays."""
    try:
        with results.replacing(path) as temporary:
            yield temporary
    except (OSError, safetensors.SafetensorError) as error:
        raise checks.InputError(
            f"{path} could not be stored: {error}. The last state that was stored is whole; make "
            "room on the disk and run again, and the training goes on from there."
        ) from error


def _refuse_pixels(pixels_hu: Pixels, n_slices: int) -> None:
    """Raise where pixels are not what the preprocessing writes."""
    if pixels_hu.ndim != 3 or pixels_hu.dtype != np.int16:
        raise checks.InputError(
            f"pixels_hu must be int16 of shape (n_slices, {network.SIZE}, {network.SIZE}); "
            f"got {pixels_hu.dtype} of shape {pixels_hu.shape}. Notebook 02 writes slices.npy."
        )
    if len(pixels_hu) != n_slices or pixels_hu.shape[1:] != (network.SIZE, network.SIZE):
        raise checks.InputError(
            f"pixels_hu must hold one {network.SIZE} x {network.SIZE} slice for each of the "
            f"{n_slices} rows of slices; its shape is {pixels_hu.shape}."
        )


def _inner(cases: Cases, job: Job, settings: Settings) -> checks.Bools:
    """True for the patients on whom the epoch is chosen."""
    learns = cases.patients.iloc[job.learns]
    parts = round(1 / settings.inner_share)
    fold = folds.assign(learns, n_folds=parts, seed=settings.seed, event="event")
    inner: checks.Bools = fold == 0
    return inner


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


def _moves(n: int, settings: Settings) -> torch.Tensor:
    """Affine matrices, shape (n, 2, 3), in the coordinates of grid_sample (the side is 2)."""
    turn = torch.deg2rad(settings.rotation_degrees * _between_minus_one_and_one(n))
    shear = settings.shear * _between_minus_one_and_one(n)
    zoom = 1 + settings.zoom * _between_minus_one_and_one(n)
    cosine, sine = torch.cos(turn), torch.sin(turn)
    first = torch.stack([cosine, shear * cosine - sine], dim=1)
    second = torch.stack([sine, shear * sine + cosine], dim=1)
    linear = torch.stack([first, second], dim=1) / zoom[:, None, None]
    shift = 2 * settings.shift_share * (2 * torch.rand(n, 2, 1) - 1)
    return torch.cat([linear, shift], dim=2)


def _grid(moves: torch.Tensor, size: int) -> torch.Tensor:
    """What functional.affine_grid gives, in less than half its time on a processor."""
    across = (2 * torch.arange(size).to(moves) + 1) / size - 1
    x, y = across[None, None, :, None], across[None, :, None, None]
    moves = moves[:, None, None]
    return x * moves[..., 0] + y * moves[..., 1] + moves[..., 2]


def _between_minus_one_and_one(n: int) -> torch.Tensor:
    """Uniform draws."""
    return 2 * torch.rand(n) - 1


def _placed(model: Network) -> Network:
    """The network on the device, laid out as its convolutions like it."""
    return model.to(device=device(), memory_format=_layout())  # type: ignore[call-overload,no-any-return]


def _laid_out(images: torch.Tensor) -> torch.Tensor:
    """The images, laid out as the convolutions like them."""
    return images.contiguous(memory_format=_layout())


def _layout() -> torch.memory_format:
    """Channels last, which is faster, except where it writes beyond its memory."""
    # torch 2.13's oneDNN corrupts the heap in the backward pass on processors with AVX2 alone
    only_avx2 = torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if device().type == "cpu" and only_avx2 else torch.channels_last


@contextmanager
def _seeded(*words: object) -> Iterator[None]:
    """A block whose random draws depend on these words alone, and leave no trace outside."""
    digest = hashlib.sha256(" ".join(map(str, words)).encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        yield


@functools.cache
def _keep_freed_pages() -> None:
    """Tell glibc to keep large freed blocks: asking the kernel anew halves the speed."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # MMAP_MAX, TRIM, TOP_PAD
            ctypes.CDLL(None).mallopt(option, value)
