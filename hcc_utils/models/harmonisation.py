"""Harmonisation: making scanners alike with what was learnt in development and then frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.models.settings import Settings

_EVERY = 4  # pixel each way: enough for a percentile, and little to read
_STEPS = 1000


def standardised(
    settings: Settings,
    pixels_hu: npt.NDArray[np.int16],
    rows: npt.NDArray[np.int64] | None = None,
) -> Settings:
    """
    Settings whose window is of these slices' own intensities, if the settings ask for it.

    Parameters
    ----------
    settings : Settings
        ``window_percentiles`` says where the window begins and ends.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
        Intensities in Hounsfield units.
    rows : numpy.ndarray of int, optional
        The slices of the training part; all, where left out.

    Returns
    -------
    Settings
        With a window in Hounsfield units, which is all that is frozen: nothing is learnt again
        from the patients who are scored.

    Raises
    ------
    InputError
        If the two percentiles are one value: the slices are constant.

    References
    ----------
    .. [1] Isensee et al. (2021), Nature Methods 18:203-211 (intensities of CT).
    """
    if settings.window_percentiles is None:
        return settings
    learnt = np.arange(len(pixels_hu)) if rows is None else rows
    thinned = pixels_hu[learnt, ::_EVERY, ::_EVERY]
    low, high = np.percentile(thinned, settings.window_percentiles)
    if not low < high:
        raise checks.InputError(
            f"intensities must vary to be standardised; percentiles "
            f"{settings.window_percentiles} of the training slices are both {low:g} HU."
        )
    return replace(
        settings,
        window_centre_hu=float(low + high) / 2,
        window_width_hu=float(high - low),
        window_percentiles=None,
    )


@dataclass(frozen=True)
class ComBat:
    """
    What makes features of several centres alike: each centre's own shift and spread.

    Parameters
    ----------
    mean, sd : pandas.Series
        Of each feature, over all centres and within them.
    shift, variance : pandas.DataFrame
        One row a centre, one column a feature, on the scale of `sd`.
    """

    mean: pd.Series
    sd: pd.Series
    shift: pd.DataFrame
    variance: pd.DataFrame

    @classmethod
    def learn(cls, features: pd.DataFrame, centre: pd.Series) -> ComBat:
        """
        Each centre's shift and spread, drawn towards what its other features say.

        Parameters
        ----------
        features : pandas.DataFrame
            One row a patient, one column a feature, all known.
        centre : pandas.Series
            Each patient's.

        Returns
        -------
        ComBat
            Equal to R's ``sva::ComBat`` (parametric, without covariates), its iteration run to
            the end. No covariate is kept, least of all the outcome: a patient who is to be
            scored has none. So a true difference between the centres' patients goes too. A
            feature that does not vary in one of the centres stays as it is.

        Raises
        ------
        InputError
            If a feature is missing, fewer than two vary, there is one centre only, or one
            centre has one patient only.

        References
        ----------
        .. [1] Johnson, Li and Rabinovic (2007), Biostatistics 8:118-127.
        """
        for name in features:
            checks.numbers(str(name), features[name])
        key = centre.to_numpy()
        varies = features.groupby(key).nunique().min() > 1
        sizes = pd.Series(key).value_counts(sort=False)
        _refuse(sizes, int(varies.sum()))
        own = features.loc[:, varies].astype(float)
        n = sizes.to_numpy(float)[:, None]
        means = own.groupby(key).mean().loc[sizes.index]
        mean = (means * n).sum() / n.sum()
        within = own - means.loc[key].to_numpy()
        sd = np.sqrt((within**2).mean())
        shift, variance = _shrunk(
            ((means - mean) / sd).to_numpy(),
            (own.groupby(key).var().loc[sizes.index] / sd**2).to_numpy(),
            n,
        )
        labels = {"index": sizes.index, "columns": own.columns}
        return cls(mean, sd, pd.DataFrame(shift, **labels), pd.DataFrame(variance, **labels))

    def apply(self, features: pd.DataFrame, centre: pd.Series) -> pd.DataFrame:
        """
        The features as if all patients were of one average centre.

        Parameters
        ----------
        features : pandas.DataFrame
            One row a patient, the columns that were learnt from.
        centre : pandas.Series
            Each patient's, one of those that were learnt from.

        Returns
        -------
        pandas.DataFrame
            Harmonised, in the same units.

        Raises
        ------
        InputError
            If a centre is new: its shift and spread are not known.
        """
        new = sorted(set(centre) - set(self.shift.index))
        if new:
            raise checks.InputError(
                f"ComBat is undefined at {new[0]!r}: it knows {', '.join(self.shift.index)}. A "
                f"new centre's shift would be learnt from the very patients who are to be "
                f"scored. Use the features as they are there."
            )
        names = self.mean.index
        at = centre.to_numpy()
        standard = (features[names] - self.mean) / self.sd - self.shift.loc[at].to_numpy()
        alike = standard / np.sqrt(self.variance.loc[at].to_numpy()) * self.sd + self.mean
        return features.assign(**alike)


def _refuse(sizes: pd.Series, varying: int) -> None:
    """Raise where centres cannot be told from patients."""
    if len(sizes) < 2 or sizes.min() < 2:
        raise checks.InputError(
            f"ComBat needs at least two centres of at least two patients each; got "
            f"{', '.join(f'{name}: {count}' for name, count in sizes.items())}."
        )
    if varying < 2:
        raise checks.InputError(
            f"ComBat learns from several features what one centre's shift is like; {varying} "
            f"vary within every centre, at least 2 must."
        )


def _shrunk(
    shift: checks.Floats, variance: checks.Floats, n: checks.Floats
) -> tuple[checks.Floats, checks.Floats]:
    """Empirical Bayes estimates of shift (normal prior) and variance (inverse gamma prior)."""
    usual, scatter = _over_features(shift)
    middle, spread = _over_features(variance)
    after, now = shift, variance
    for _ in range(_STEPS):
        before = now
        after = (scatter * n * shift + now * usual) / (scatter * n + now)
        squares = (n - 1) * variance + n * (shift - after) ** 2  # about the new shift
        now = (spread * (squares / 2 + middle) + middle**3) / (spread * (n / 2 + 1) + middle**2)
        if np.abs(now / before - 1).max() < 1e-12:
            break
    return after, now


def _over_features(of_centre: checks.Floats) -> tuple[checks.Floats, checks.Floats]:
    """The mean and the variance over a centre's features."""
    return of_centre.mean(axis=1, keepdims=True), of_centre.var(axis=1, ddof=1, keepdims=True)
