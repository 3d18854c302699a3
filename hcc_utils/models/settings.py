"""All that the training of a network may vary, and three profiles of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hcc_utils import checks
from hcc_utils.models.network import DROPOUT, FILTERS, STRIDES, Network

# the paper gives a variance of 0.1 and no scale; that it means images from 0 to 1 is our assumption
PUBLISHED_NOISE_SD = 0.1**0.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    What one training is told; every default is ours, for the paper prints none of them.

    Parameters
    ----------
    epochs : int
        Passes at most.
    slices_per_epoch : int or None
        Slices drawn for a pass; None for as many as there are.
    patience : int
        Passes without a lower loss on the inner split before training stops.
    inner_share : float
        Share of the training patients on whom the epoch is chosen.
    batch_size : int
        Slices a step.
    learning_rate : float
        Highest rate of AdamW; it falls along a half cosine to nothing.
    weight_decay : float
        Of AdamW.
    filters, strides : tuple of int
        One for the C_Block, one for each R_Block.
    dropout : float
        Share of features left out in training.
    window_centre_hu, window_width_hu : float
        The display window that becomes [0, 1].
    window_percentiles : tuple of float or None
        Ends of the window as percentiles of the training part's own intensities, instead
        (`harmonisation.standardised`); None for the window above.
    shift_share : float
        Largest shift, as a share of the slice's side.
    shear, zoom : float
        Largest shear (pixels a pixel) and largest zoom in or out (0.1: 0.9 to 1.1).
    rotation_degrees : float
        Largest rotation.
    balancing : {"draws", "noisy_copies"}
        How both outcomes become as frequent: slices are drawn so, and noise has the same rate for
        both; or, as in the paper, slices with the event are copied, and each copy is made noisy.
    noise_sd : float
        SD of the noise, on the windowed scale.
    noise_rate : float
        Share of slices that receive it where slices are drawn, the same for both outcomes; the
        paper's copies receive it always, and nothing else does.
    seed : int
        Decides weights, draws, augmentation and dropout.
    members : int
        Trainings of every network, each under seeds of its own; a score is the mean of theirs.
    threads : int
        Threads of one training; results repeat bit by bit at one number of threads. Two threads
        wait for each other, so on a shared machine two networks at a time are far faster.
    processes : int
        Networks trained at a time.

    Raises
    ------
    InputError
        If a value means no training.
    """

    epochs: int = 20
    slices_per_epoch: int | None = None
    patience: int = 8
    inner_share: float = 0.2
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    filters: tuple[int, ...] = FILTERS
    strides: tuple[int, ...] = STRIDES
    dropout: float = DROPOUT
    window_centre_hu: float = 75.0
    window_width_hu: float = 350.0
    window_percentiles: tuple[float, float] | None = None
    shift_share: float = 0.08
    shear: float = 0.1
    zoom: float = 0.1
    rotation_degrees: float = 15.0
    balancing: Literal["draws", "noisy_copies"] = "draws"
    noise_sd: float = 0.03
    noise_rate: float = 0.5
    seed: int = 20240501
    members: int = 1
    threads: int = 1
    processes: int = 2

    def __post_init__(self) -> None:
        """Refuse values no training could mean."""
        for name in ("epochs", "patience", "batch_size", "members", "threads", "processes"):
            _at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "window_width_hu"):
            if not getattr(self, name) > 0:
                raise checks.InputError(f"{name} must be above 0; got {getattr(self, name)}.")
        for name in ("weight_decay", "shift_share", "shear", "rotation_degrees", "noise_sd"):
            _at_least(name, getattr(self, name), 0)
        checks.one_of("balancing", self.balancing, ("draws", "noisy_copies"))
        checks.probabilities("noise_rate", [self.noise_rate])
        if not 0 <= self.zoom < 1:
            raise checks.InputError(f"zoom must be in [0, 1); got {self.zoom}.")
        if not 0 < self.inner_share <= 0.5:
            raise checks.InputError(f"inner_share must be in (0, 0.5]; got {self.inner_share}.")
        low, high = self.window_percentiles or (0, 100)
        if not 0 <= low < high <= 100:
            raise checks.InputError(
                f"window_percentiles must rise within [0, 100]; got {self.window_percentiles}."
            )
        if self.slices_per_epoch is not None:
            _at_least("slices_per_epoch", self.slices_per_epoch, self.batch_size)

    @property
    def window_low_hu(self) -> float:
        """What becomes 0 in the windowed slice, in Hounsfield units."""
        return self.window_centre_hu - self.window_width_hu / 2

    @property
    def as_published(self) -> Settings:
        """The same training with the paper's noisy copies: variance 0.1, on this scale as ours."""
        return replace(self, balancing="noisy_copies", noise_sd=PUBLISHED_NOISE_SD)

    def network(self) -> Network:
        """
        A network with these layers and fresh weights.

        Returns
        -------
        Network
            Not yet trained.
        """
        return Network(filters=self.filters, strides=self.strides, dropout=self.dropout)


def _at_least(name: str, value: float, lowest: float) -> None:
    """Raise where a setting is below its lowest value."""
    if not value >= lowest:
        raise checks.InputError(f"{name} must be at least {lowest}; got {value}.")


PROFILES: dict[str, Settings] = {
    "tiny": Settings(epochs=3, slices_per_epoch=256),
    "fast": Settings(epochs=8, slices_per_epoch=1500, patience=4),
    "full": Settings(),
}
