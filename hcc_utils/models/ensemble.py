"""Networks that were trained alike but for the seed; a score is the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcc_utils import checks
from hcc_utils.models import scoring
from hcc_utils.models.network import Network
from hcc_utils.models.scoring import Pixels, Rows
from hcc_utils.models.settings import Settings


@dataclass(frozen=True, eq=False)
class Ensemble:
    """
    The networks that learnt from the same patients, and the window through which they look.

    Parameters
    ----------
    members : sequence of Network
        One for each seed; one alone is an ensemble too.
    settings : Settings
        With which all of them were trained.
    """

    members: Sequence[Network]
    settings: Settings

    @property
    def first(self) -> Network:
        """The member that is drawn and explained."""
        return self.members[0]

    @property
    def alone(self) -> list[Ensemble]:
        """Each member by itself."""
        return [replace(self, members=[member]) for member in self.members]

    def slice_scores(self, pixels_hu: Pixels, rows: Rows | None = None) -> checks.Floats:
        """
        The mean of the members' scores of each slice.

        Parameters
        ----------
        pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
            Intensities in Hounsfield units.
        rows : numpy.ndarray of int, optional
            Which slices; all, where left out.

        Returns
        -------
        numpy.ndarray of float, shape (n_rows,)
            In [0, 1]; higher is worse.
        """
        each = [scoring.slice_scores(own, pixels_hu, self.settings, rows) for own in self.members]
        mean: checks.Floats = np.mean(each, axis=0)
        return mean
