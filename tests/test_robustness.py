"""Robustness: networks whose answer to each change is known beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from hcc_utils.models import robustness
from hcc_utils.models.cases import Cases
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.models.network import Network
from hcc_utils.models.scorers import Scorers
from hcc_utils.models.settings import Settings

WINDOW = Settings(window_centre_hu=100, window_width_hu=400)  # -100 HU is 0, 300 HU is 1


class MeanIntensity(Network):
    """Sees nothing but how bright a slice is within the window."""

    def slice_scores(self, images):
        return images.mean(dim=(1, 2, 3))


def scorers(slices_hu):
    """Patients with constant slices of these HU; every second one has the event."""
    hu = [value for patient in slices_hu for value in patient]
    patient = np.repeat(np.arange(len(slices_hu)), [len(p) for p in slices_hu])
    patients = pd.DataFrame({"patient_id": [f"P{n}" for n in range(len(slices_hu))]})
    patients["centre"], patients["event"] = "a", np.arange(len(slices_hu)) % 2 == 1
    pixels = np.broadcast_to(np.array(hu, np.int16)[:, None, None], (len(hu), 128, 128))
    network = MeanIntensity(filters=(2, 2), strides=(8, 8))
    alone = np.zeros(len(slices_hu), dtype=np.int64)
    return Scorers(Cases(pixels, patient, patients), [Ensemble([network], WINDOW)], alone)


FOUR = [[0], [100], [50, 150], [200]]


def brighter(scored, by):
    """Every patient cut again, all cuts alike: so many HU above the slices there are."""
    for row, name in enumerate(scored.cases.patients["patient_id"]):
        own = scored.cases.pixels_hu[scored.cases.slices_of(np.array([row]))]
        yield name, np.repeat((own + np.int16(by))[None], len(robustness.CUTS), axis=0)


def figures(table, what, amount):
    """The row of one change."""
    chosen = (table["perturbation"] == what) & (table["amount"] == amount)
    return table[chosen].squeeze()


def test_a_shift_within_a_constant_image_changes_nothing():
    scored = scorers(FOUR)
    table = robustness.robustness(scored, brighter(scored, 0))
    for by in ("1", "2", "5", "10"):
        found = figures(table, "roi_shift_pixels", by)
        assert found[["n", "mean_change", "p95_change", "icc"]].tolist() == [4, 0, 0, 1]
        assert found["reliability"] == "excellent"


def test_a_change_of_all_alike_is_no_agreement_by_hand():
    """
    Scores .25, .5, .5, .75 and 40 HU more: .1 more. ICC2 of two readings of four patients: the
    patients' mean square is 2 x .125 / 3 = .0833, that of readings 4 x 2 x .05**2 = .02, no rest:
    .0833 / (.0833 + 2 x .02 / 4) = .893. By consistency (ICC3) it would be 1.
    """
    scored = scorers(FOUR)
    found = figures(robustness.robustness(scored, brighter(scored, 40)), "noise_hu", "5")
    assert found["mean_change"] == pytest.approx(0.1, abs=1e-6)
    assert found["p95_change"] == pytest.approx(0.1, abs=1e-6)
    assert found["icc"] == pytest.approx(0.8929, abs=1e-4)


def test_the_auc_before_and_after_by_hand():
    """
    Events .5 and .75, others .25 and .5: three pairs right and a tie, 3.5 of 4. After the cuts
    of P3 (event) to -100 HU: .5 and 0 against .25 and .5: one right, a tie, two wrong: 1.5 of 4.
    """
    scored = scorers(FOUR)
    pixels = dict(brighter(scored, 0))
    pixels["P3"] = pixels["P3"] - np.int16(300)
    found = figures(robustness.robustness(scored, pixels.items()), "resize_kernel", "cubic")
    assert found["auc_before"] == 3.5 / 4
    assert found["auc_after"] == 1.5 / 4


def test_patients_that_were_not_cut_again_do_not_take_part():
    """P0 cannot be read, P1 was not asked for: two of four; the windows see all four."""
    scored = scorers(FOUR)
    pixels = dict(brighter(scored, 0)) | {"P0": None}
    del pixels["P1"]
    table = robustness.robustness(scored, pixels.items())
    assert figures(table, "roi_shift_pixels", "1")["n"] == 2
    assert figures(table, "window_width_percent", "10")["n"] == 4


def test_without_dicom_the_other_changes_remain():
    table = robustness.robustness(scorers(FOUR))
    cut_again = table["perturbation"].isin(["roi_shift_pixels", "resize_kernel", "noise_hu"])
    assert (table.loc[cut_again, "n"] == 0).all()
    assert table.loc[cut_again, "mean_change"].isna().all()
    assert (table.loc[~cut_again, "n"] > 0).all()


def test_windows_by_hand():
    """
    A centre 10 HU off is 10 / 400 = .025 for each. A width of 360 or 440 turns d HU from the
    centre into d / 360 or d / 440 instead of d / 400: for d = -100, 0, 0, 100 the change is
    100 / 3600 = .0278 or 100 / 4400 = .0227, or nothing for half of them: on average .012626.
    """
    table = robustness.robustness(scorers(FOUR))
    assert figures(table, "window_centre_percent", "10")["mean_change"] == pytest.approx(
        0.025, abs=1e-6
    )
    found = figures(table, "window_width_percent", "10")
    assert found["mean_change"] == pytest.approx(0.012626, abs=1e-6)


def test_one_slice_less_by_hand():
    """
    Scores .25, .5, 1: mean .5833; without the first .75, without the last .375: .1667 and .2083
    away, .1875 on average. The patient with one slice does not take part.
    """
    scored = scorers([[0, 100, 300], [100]])
    found = figures(robustness.robustness(scored), "slices_fewer", "1")
    assert found["n"] == 1
    assert found["mean_change"] == pytest.approx(0.1875, abs=1e-6)


def test_scores_that_do_not_agree_are_called_poor():
    """P0 and P2 exchange their brightness with P3 and P1: the order is turned round."""
    scored = scorers([[0], [100], [150], [260]])
    pixels = dict(brighter(scored, 0))
    turned = dict(zip(pixels, reversed(pixels.values()), strict=True))
    found = figures(robustness.robustness(scored, turned.items()), "noise_hu", "20")
    assert found["icc"] < 0
    assert found["reliability"] == "poor"


def test_the_word_is_by_the_lower_limit_not_by_the_estimate():
    """ICC2 is .893 of four patients, whose interval begins far below: not good but poor."""
    scored = scorers(FOUR)
    found = figures(robustness.robustness(scored, brighter(scored, 40)), "noise_hu", "5")
    assert found["low"] < 0.5 < 0.75 < found["icc"]
    assert found["reliability"] == "poor"


def test_every_shift_has_its_four_directions():
    """One axis at a time, by the number of pixels that the row tells."""
    shifts = [(cut.down_pixels, cut.right_pixels) for cut in robustness.CUTS]
    for by in (1, 2, 5, 10):
        assert {(by, 0), (-by, 0), (0, by), (0, -by)} <= set(shifts)


def test_an_untrained_network_takes_all_this():
    """The real network class and layout, only as a path that runs."""
    torch.manual_seed(1)
    scored = scorers(FOUR)
    untrained = Ensemble([Network().eval()], WINDOW)
    real = Scorers(scored.cases, [untrained], scored.network_of_patient)
    table = robustness.robustness(real, brighter(scored, 0))
    assert table["mean_change"].notna().all()
