"""Where in a slice Model D's score comes from, and whether such maps may be believed."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.imaging import study_slices
from hcc_utils.models import augmentation, hardware, model_d
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.model_d import Images, ModelD
from hcc_utils.models.network import Network
from hcc_utils.models.scoring import Pixels
from hcc_utils.study.progress import say
from hcc_utils.study.results import Folder

Maps = npt.NDArray[np.float64]

STEPS = 64  # of the path; four times as many rank the demo's pixels alike (correlation .997)
CELLS = 16  # along a side; a cell, 8 of 128 pixels, is narrower than the margin in most slices
SHARES = np.linspace(0, 1, 11)  # of a slice, deleted
DRAWS = 8  # random deletions of a slice, averaged

# What a map must do to pass. The far end of the 95 % interval decides, not the estimate.
COMPLETE_WITHIN = 0.05  # of the difference to be explained: Sundararajan's own tolerance
SAME_MAP = 0.5  # rank correlation: below it, less than a quarter of the variance is common
_NOTHING = (
    pd.DataFrame(columns=["method", "check", "estimate", "low", "high", "passes", "note"]),
    pd.DataFrame(columns=["method", "check", "step", "estimate", "reference"]),
    pd.DataFrame(columns=["title", "left", "right", "top", "bottom"]),
)
LEAST_PATIENTS = 10  # fewer are no evidence: nothing passes


def log_odds(network: Network, images: torch.Tensor) -> torch.Tensor:
    """
    The logit of each slice's score: what maps explain, for softmax saturates and this does not.

    Parameters
    ----------
    network : Network
        Frozen.
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.

    Returns
    -------
    torch.Tensor, shape (n,)
        Higher is worse.
    """
    return _log_odds(network(images))


def flat(images: torch.Tensor) -> torch.Tensor:
    """
    Each slice without its structure: every pixel at the slice's mean.

    Parameters
    ----------
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.

    Returns
    -------
    torch.Tensor, shape (n, 1, size, size)
        Where integrated gradients begin, and what deleted pixels are replaced with. Not black,
        which in the window is fat: a black baseline would call the whole liver evidence.
    """
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


def grad_cam(network: Network, images: torch.Tensor) -> torch.Tensor:
    """
    Grad-CAM: the feature maps that raise the log odds, weighted by their mean gradient.

    Parameters
    ----------
    network : Network
        Frozen.
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.

    Returns
    -------
    torch.Tensor, shape (n, size, size)
        Never negative, enlarged by linear interpolation.

    Notes
    -----
    Of the deepest block with at least `CELLS` cells along a side. The paper of the method takes
    the last one; ours ends at 2 x 2 cells, which cannot tell a lesion from its margin.

    References
    ----------
    .. [1] Selvaraju et al. (2017), ICCV, 618-626.
    """
    features, rest = _split(network, images)
    features = features.detach().requires_grad_()
    scores = _log_odds(network.dense(rest(features).flatten(1)))
    (gradient,) = torch.autograd.grad(scores.sum(), features)
    weighted = gradient.mean(dim=(2, 3), keepdim=True) * features.detach()
    coarse = weighted.sum(dim=1, keepdim=True).relu()
    return functional.interpolate(coarse, images.shape[2:], mode="bilinear")[:, 0]


def integrated_gradients(
    network: Network, images: torch.Tensor, *, steps: int = STEPS
) -> torch.Tensor:
    """
    Integrated gradients of the log odds, from the slice's `flat` version to the slice.

    Parameters
    ----------
    network : Network
        Frozen.
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.
    steps : int, default 64
        Points of the path, in the middle of equal parts.

    Returns
    -------
    torch.Tensor, shape (n, size, size)
        Log odds a pixel; a map's sum is the difference between slice and flat slice, but for the
        error of so many steps.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017), ICML, 3319-3328.
    """
    start = flat(images)
    total = torch.zeros_like(images)
    for step in range(steps):
        point = torch.lerp(start, images, (step + 0.5) / steps).requires_grad_()
        (gradient,) = torch.autograd.grad(log_odds(network, point).sum(), point)
        total += gradient
    return ((images - start) * total / steps)[:, 0]


METHODS: dict[str, Callable[[Network, torch.Tensor], torch.Tensor]] = {
    "grad_cam": grad_cam,
    "integrated_gradients": integrated_gradients,
}


def cascade(network: Network, *, seed: int) -> Iterator[Network]:
    """
    The network with ever more of its layers drawn anew, from the dense layer down.

    Parameters
    ----------
    network : Network
        Frozen; it stays as it is.
    seed : int
        Decides the draws.

    Yields
    ------
    Network
        First only its dense layer is random, in the end all of it. Always the same object.

    References
    ----------
    .. [1] Adebayo et al. (2018), NeurIPS 31, 9505-9515.
    """
    network = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in (network.dense, *reversed(network.blocks)):
            for part in layer.modules():
                if isinstance(part, nn.Linear | nn.Conv2d | nn.BatchNorm2d):
                    part.reset_parameters()
            yield network


def similarity(maps: Maps, others: Maps) -> checks.Floats:
    """
    Spearman's rank correlation of the pixels of two maps, slice by slice.

    Parameters
    ----------
    maps : numpy.ndarray, shape (n, size, size)
        Of one network.
    others : numpy.ndarray, shape (n, size, size)
        Of another network, for the same slices.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        0 where one of the two is the same everywhere: it ranks nothing.
    """
    mine, theirs = (_standardised_ranks(found) for found in (maps, others))
    correlation: checks.Floats = (mine * theirs).sum(axis=1)
    return correlation


def deletion(
    network: Network, images: torch.Tensor, maps: torch.Tensor, *, seed: int
) -> tuple[checks.Floats, checks.Floats]:
    """
    How the score falls as a slice's cells become flat, the highest-attributed ones first.

    Parameters
    ----------
    network : Network
        Frozen.
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.
    maps : torch.Tensor, shape (n, size, size)
        What is attributed to their pixels.
    seed : int
        Draws the random deletions.

    Returns
    -------
    attributed : numpy.ndarray, shape (n, n_shares)
        The score after each of `SHARES` has been deleted.
    random : numpy.ndarray, shape (n, n_shares)
        The same in the order of the same map, mirrored and moved (around the edges) by chance:
        as much, as connected, elsewhere. Single random cells would draw a chequerboard, whose
        edges change a score by themselves.

    References
    ----------
    .. [1] Petsiuk, Das and Saenko (2018), BMVC.
    """
    draw = np.random.default_rng(seed)
    cells = functional.adaptive_avg_pool2d(maps, CELLS).double().numpy()
    moved = [_scores_without(network, images, _moved(cells, draw), draw) for _ in range(DRAWS)]
    return _scores_without(network, images, cells, draw), np.mean(moved, axis=0)


def zones(table: pd.DataFrame, size: int) -> dict[str, checks.Bools]:
    """
    The two zones of each slice: the box around the lesion, and the margin around the box.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a slice: ``left``, ``right``, ``top``, ``bottom`` of the box, as shares of the
        slice's sides (`study_slices.middle_slices`).
    size : int
        Rows and columns of a slice.

    Returns
    -------
    dict of str to numpy.ndarray of bool, shape (n, size, size)
        ``lesion_box`` and ``margin``: pixels by their centres. No outline is kept with slices, so
        that the box's corners count as lesion; beyond the margin a slice shows nothing.
    """
    centres = (np.arange(size) + 0.5) / size
    left, right, top, bottom = (
        table[[side]].to_numpy() for side in ("left", "right", "top", "bottom")
    )
    columns, rows = (left < centres) & (centres < right), (top < centres) & (centres < bottom)
    box = rows[:, :, None] & columns[:, None, :]
    return {"lesion_box": box, "margin": ~box}


def shares(maps: Maps, zone: checks.Bools) -> checks.Floats:
    """
    The share of each map that lies in a zone.

    Parameters
    ----------
    maps : numpy.ndarray, shape (n, size, size)
        What is attributed to pixels; both signs count alike.
    zone : numpy.ndarray of bool, shape (n, size, size)
        True inside.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        In [0, 1]. An empty map has the zone's share of the area.
    """
    size = np.abs(maps)
    size = np.where(size.any(axis=(1, 2), keepdims=True), size, 1.0)
    inside: checks.Floats = (size * zone).sum(axis=(1, 2)) / size.sum(axis=(1, 2))
    return inside


def targets(
    bundle: Bundle, slices: pd.DataFrame, scores: pd.DataFrame, *, n_patients: int
) -> pd.DataFrame:
    """
    The middle slice of some patients, evenly spread from the lowest score to the highest.

    Parameters
    ----------
    bundle : Bundle
        How far boxes were widened.
    slices : pandas.DataFrame
        Rows of ``slices.csv``.
    scores : pandas.DataFrame
        One row a patient: ``patient_id``, ``score``. Nobody is chosen by the look of a map.
    n_patients : int
        How many; all where there are fewer.

    Returns
    -------
    pandas.DataFrame
        As `study_slices.middle_slices` gives it, by rising score; the index is that of `slices`.
    """
    made = {name: bundle.preprocessing[name] for name in ("margin_pixels", "margin_mm")}
    table = study_slices.middle_slices(slices, **made)
    score = slices.loc[table.index, "patient_id"].map(scores.set_index("patient_id")["score"])
    order = score.dropna().sort_values(kind="stable").index
    places = np.linspace(0, len(order) - 1, min(n_patients, len(order))).round().astype(int)
    return table.loc[order[places]]


def attributed(bundle: Bundle, pixels_hu: Pixels) -> dict[str, Maps]:
    """
    Each method's maps of some slices: single patients' pictures, for the internal edition alone.

    Parameters
    ----------
    bundle : Bundle
        The frozen network.
    pixels_hu : numpy.ndarray of int16, shape (n, size, size)
        Intensities in Hounsfield units.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n, size, size)
        By method.
    """
    with hardware.threads(bundle.settings.threads):
        network, images = _still(bundle.network), _images(bundle, pixels_hu)
        return {name: _numpy(method(network, images)) for name, method in METHODS.items()}


def checked(
    bundle: Bundle, pixels_hu: Pixels, table: pd.DataFrame, *, others: Sequence[Network] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Whether the maps earn trust: one row a method and check, no row a patient.

    Parameters
    ----------
    bundle : Bundle
        The frozen network; its seed draws layers, deletions and resamples.
    pixels_hu : numpy.ndarray of int16, shape (n, size, size)
        One slice a patient, in Hounsfield units.
    table : pandas.DataFrame
        The box in each (`targets`).
    others : sequence of Network
        Networks trained in the same way from other seeds.

    Returns
    -------
    found : pandas.DataFrame
        ``method``, ``check``, ``estimate``, ``low``, ``high`` (95 %, bootstrap over patients),
        ``passes`` (missing where nothing is judged), ``note`` (the rule).
    curves : pandas.DataFrame
        What figures draw: ``method``, ``check``, ``step``, ``estimate``, and ``reference``,
        which a map that passes stays below: the similarity with so many layers random beside
        `SAME_MAP`, and the score without such a share of the slice beside a random share's.
    """
    checks.same_length(pixels_hu=pixels_hu, table=table)
    with hardware.threads(bundle.settings.threads):
        bench = _Bench(
            _still(bundle.network),
            [_still(other) for other in others],
            _images(bundle, pixels_hu),
            zones(table, pixels_hu.shape[-1]),
            bundle.seed,
        )
        parts = []
        for number, name in enumerate(METHODS, start=1):
            say(f"maps {number} of {len(METHODS)}: {name} of {len(table)} slices is checked")
            parts.append(bench.judged(name))
    found = pd.DataFrame([row for rows, _ in parts for row in rows])
    curves = pd.concat([curve for _, curve in parts], ignore_index=True)
    return found.astype({"passes": "boolean"}), curves


@dataclass(frozen=True)
class Explained:
    """
    Where a centre's scores come from.

    Parameters
    ----------
    checks : pandas.DataFrame
        As `checked` gives it; no row is a patient.
    curves : pandas.DataFrame
        As `checked` gives them.
    pictured : pandas.DataFrame
        The slices of a few patients, as `targets` gives them: for the internal edition alone.
    pixels_hu : numpy.ndarray of int16, shape (n_pictured, size, size)
        Theirs.
    maps : dict of str to numpy.ndarray
        Theirs, by method.
    """

    checks: pd.DataFrame
    curves: pd.DataFrame
    pictured: pd.DataFrame
    pixels_hu: Pixels
    maps: dict[str, Maps]

    def write(self, here: Folder) -> None:
        """
        Nothing; the checks stand in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        here.write(self.checks, "explanation.csv")


def at_centre(
    images: Images, found: ModelD, *, here: Folder, bundle: str, n_checked: int, n_pictured: int
) -> Explained:
    """
    What the frozen network looks at in a centre's slices, and whether to believe it.

    Parameters
    ----------
    images : Images
        The centre's patients and slices.
    found : ModelD
        Their scores.
    here : Folder
        The centre's results, in development with the folds' networks.
    bundle : str
        The frozen bundle's folder; empty in development.
    n_checked, n_pictured : int
        How many patients the checks and the pictures are of.

    Returns
    -------
    Explained
        Of an ensemble's first network. It must agree with the other members, and in development
        with the folds' networks. Without rows and pictures for a demonstration: nothing may be
        judged by another study's network.
    """
    if model_d.origin(here, bundle=bundle) == "demonstration":
        return Explained(*_NOTHING, images.pixels_hu[:0], {})
    frozen = found.bundle or Bundle.read(bundle)
    chosen, pictured = (
        targets(frozen, images.slices, found.scores.table, n_patients=number)
        for number in (n_checked, n_pictured)
    )
    others = list(frozen.others)
    if found.settings is not None:
        folds = model_d.scorers(images, found, here=here, bundle=bundle).ensembles
        others += [own.first for own in folds]
    tables = checked(frozen, images.pixels_hu[chosen.index], chosen, others=others)
    pixels = images.pixels_hu[pictured.index]
    return Explained(*tables, pictured, pixels, attributed(frozen, pixels))


@dataclass(frozen=True)
class _Bench:
    """All that a method is judged on."""

    network: Network
    others: list[Network]
    images: torch.Tensor
    zones: dict[str, checks.Bools]
    seed: int

    def judged(self, name: str) -> tuple[list[dict[str, object]], pd.DataFrame]:
        """A method's rows, and its two curves."""
        maps = METHODS[name](self.network, self.images)
        found = _numpy(maps)
        random = self._similarity_to_random(name, found)
        kept, by_chance = deletion(self.network, self.images, maps, seed=self.seed)
        area = np.asarray(np.trapezoid(by_chance - kept, SHARES, axis=1))
        rows = [
            self._row("randomisation", random[-1], most=SAME_MAP, note=_RANDOMISATION),
            self._row("deletion", area, least=0.0, note=_DELETION),
            *self._shares(found),
            self._agreement(name, found),
        ]
        if name == "integrated_gradients":
            lost = self._lost(found)
            rows.insert(0, self._row("completeness", lost, most=COMPLETE_WITHIN, note=_COMPLETE))
        curves = [
            _curve(name, "randomisation", range(1, len(random) + 1), random.T, SAME_MAP),
            _curve(name, "deletion", SHARES, kept, by_chance.mean(axis=0)),
        ]
        return [{"method": name} | row for row in rows], pd.concat(curves)

    def _similarity_to_random(self, name: str, found: Maps) -> Maps:
        """With how many layers random, and of which slice: the similarity of the maps."""
        # without signs: with them a map of the same look, its signs turned, would seem another
        return np.stack(
            [
                similarity(np.abs(found), np.abs(_numpy(METHODS[name](random, self.images))))
                for random in cascade(self.network, seed=self.seed)
            ]
        )

    def _lost(self, found: Maps) -> checks.Floats:
        """What a map's sum lacks of the difference it explains, in units of the mean difference."""
        with torch.inference_mode():
            whole, none = (
                _numpy(log_odds(self.network, images))
                for images in (self.images, flat(self.images))
            )
        difference = whole - none
        gap = np.abs(found.sum(axis=(1, 2)) - difference)
        lost: checks.Floats = gap / np.abs(difference).mean()
        return lost

    def _shares(self, found: Maps) -> Iterator[dict[str, object]]:
        """A row a zone; only the lesion's is judged, for a margin may well tell something."""
        for zone, inside in self.zones.items():
            area = inside.mean(axis=(1, 2))
            least = None if zone == "margin" else area
            note = f"{area.mean():.0%} of the area. {_SHARES[zone]}"
            yield self._row(f"share_in_{zone}", shares(found, inside), least=least, note=note)

    def _agreement(self, name: str, found: Maps) -> dict[str, object]:
        """The row of what networks of other seeds say of the same slices."""
        every = [found, *(_numpy(METHODS[name](other, self.images)) for other in self.others)]
        pairs = [similarity(*pair) for pair in itertools.combinations(every, 2)]
        if not pairs:
            unknown = np.full(len(found), np.nan)
            return self._row("agreement", unknown, note="One network only: not known.")
        note = f"{len(every)} networks. {_AGREEMENT}"
        return self._row("agreement", np.mean(pairs, axis=0), least=SAME_MAP, note=note)

    def _row(
        self,
        check: str,
        values: checks.Floats,
        *,
        note: str,
        least: checks.Floats | float | None = None,
        most: float | None = None,
    ) -> dict[str, object]:
        """A check's mean over patients, its interval, and whether that keeps to one side."""
        low, high = intervals.bootstrapped_mean(values, seed=self.seed)
        passes: object = pd.NA
        if most is not None:
            passes = high <= most
        elif least is not None:
            passes = intervals.bootstrapped_mean(values - least, seed=self.seed)[0] > 0
        if len(values) < LEAST_PATIENTS and passes is not pd.NA:
            passes, note = False, f"Fewer than {LEAST_PATIENTS} patients. {note}"
        row = {"check": check, "estimate": values.mean(), "low": low, "high": high}
        return row | {"passes": passes, "note": note}


_COMPLETE = (
    "Part of the explained difference that the map's sum lacks; passes at no more than "
    f"{COMPLETE_WITHIN:.0%} (more steps lower it)."
)
_RANDOMISATION = (
    "Rank correlation with the map of the same network when all its weights are random; passes "
    f"below {SAME_MAP:g}: a map that hardly changes shows the image, not what was learnt."
)
_DELETION = (
    "Area between the scores when random and when the highest-attributed pixels are deleted; "
    "passes above 0: else the map is no better than chance."
)
_SHARES = {
    "lesion_box": "The box counts as lesion, its corners too; passes where the share of the "
    "attribution is above that of the area.",
    "margin": "Not judged. Slices end with the margin.",
}
_AGREEMENT = (
    f"Mean rank correlation between each two; passes above {SAME_MAP:g}: else the map is one "
    "training's chance."
)


def _curve(
    method: str, check: str, step: npt.ArrayLike, values: Maps, reference: checks.Floats | float
) -> pd.DataFrame:
    """The mean over patients (rows) at each step, as figures take it."""
    return pd.DataFrame(
        {
            "method": method,
            "check": check,
            "step": np.asarray(step, float),
            "estimate": values.mean(axis=0),
            "reference": reference,
        }
    )


def _still(network: Network) -> Network:
    """A copy on the processor that learns nothing: maps are computed in float32 there."""
    copied = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    # one layout, whether it was scored with or not: sums would differ in their last digits
    return copied.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _images(bundle: Bundle, pixels_hu: Pixels) -> torch.Tensor:
    """Windowed slices on the processor."""
    return augmentation.windowed(torch.from_numpy(pixels_hu), bundle.settings).cpu()


def _numpy(values: torch.Tensor) -> Maps:
    """The same in double precision."""
    return values.double().numpy()


def _log_odds(logits: torch.Tensor) -> torch.Tensor:
    """The event's logit above the other's."""
    return logits[:, 1] - logits[:, 0]


def _split(network: Network, images: torch.Tensor) -> tuple[torch.Tensor, nn.Module]:
    """Feature maps of the deepest block that has enough cells, and the blocks behind it."""
    features = images
    with torch.no_grad():
        for number, block in enumerate(network.blocks):
            deeper = block(features)
            if deeper.shape[-1] < CELLS:
                return features, network.blocks[number:]
            features = deeper
    return features, nn.Sequential()


def _standardised_ranks(maps: Maps) -> Maps:
    """The pixels' ranks, of mean 0 and length 1 in each map; 0 where all are tied."""
    ranks: Maps = stats.rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return ranks / np.where(length > 0, length, 1)


def _moved(cells: Maps, draw: np.random.Generator) -> Maps:
    """Each map mirrored and moved around its edges by chance."""
    turns = draw.choice((-1, 1), (len(cells), 2))
    moves = draw.integers(CELLS, size=(len(cells), 2))
    return np.stack(
        [
            np.roll(one[::down, ::right], move, axis=(0, 1))
            for one, (down, right), move in zip(cells, turns, moves, strict=True)
        ]
    )


def _scores_without(
    network: Network, images: torch.Tensor, cells: Maps, draw: np.random.Generator
) -> Maps:
    """Each slice's score without each share of its cells, the highest first, ties by chance."""
    values = cells.reshape(len(cells), -1)
    order = np.lexsort((draw.random(values.shape), -values), axis=1)
    place = np.argsort(order, axis=1).reshape(-1, 1, CELLS, CELLS) / CELLS**2
    turn = functional.interpolate(torch.from_numpy(place), images.shape[2:])
    with torch.inference_mode():
        without = [
            network.slice_scores(torch.where(turn < share, flat(images), images))
            for share in SHARES
        ]
    return _numpy(torch.stack(without, dim=1))
