"""The paper's own printed numbers (Fu et al. 2021, J Hepatocell Carcinoma); never beside ours."""

from __future__ import annotations

import pandas as pd

CITATION = (
    "Fu S, Pan M, Zhang J, et al. Deep Learning-Based Prediction of Future Extrahepatic "
    "Metastasis and Macrovascular Invasion in Hepatocellular Carcinoma. "
    "J Hepatocell Carcinoma. 2021."
)

MODEL_CS_INTERCEPT = -1.6705
MODEL_CS_TERMS: dict[str, float] = {
    "diameter_mm": 0.009,
    "cirrhosis": 0.7009,
    "fusion_lesion": 0.5365,
    "capsule[non_intact]": -0.4967,
    "capsule[intact]": -1.7083,
    "nodule_in_nodule": 0.6375,
}

CSD_THRESHOLD = 0.28

TABLE_TWO = pd.DataFrame(
    [
        ("cs", "training", 0.741, 0.795, 0.601),
        ("d", "training", 0.815, 0.831, 0.660),
        ("csd", "training", 0.856, 0.831, 0.732),
        ("cs", "validation", 0.780, 0.863, 0.662),
        ("d", "validation", 0.832, 0.955, 0.622),
        ("csd", "validation", 0.861, 0.909, 0.770),
    ],
    columns=["model", "dataset", "auc", "sensitivity", "specificity"],
)
"""Table 2. The abstract prints .836 and .862 for the validation AUC of Models D and CSD."""

# Table 1, training then validation: the variable, its counts by level, the printed p-value.
TABLE_ONE: tuple[tuple[str, dict[str | bool, tuple[int, int]], float], ...] = (
    ("sex", {"male": (197, 83), "female": (39, 13)}, 0.498),
    ("treatment", {"resection": (153, 63), "tace": (83, 33)}, 0.891),
    ("hbv", {False: (10, 3), True: (226, 93)}, 0.636),
    ("cirrhosis", {False: (99, 42), True: (137, 54)}, 0.763),
    ("child_pugh", {"A": (200, 85), "B": (36, 11)}, 0.369),
    ("bclc", {"0": (23, 13), "A": (53, 29), "AB": (94, 32), "B": (66, 22)}, 0.076),
    ("lesion_band", {"1": (162, 66), "2": (31, 16), "3": (19, 8), ">3": (24, 6)}, 0.784),
    ("afp_band", {"<25": (89, 50), "25-400": (70, 17), ">400": (77, 29)}, 0.088),
)
