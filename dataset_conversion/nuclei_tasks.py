"""Classes and tasks of CoNIC and Lizard. Standard library only."""

from __future__ import annotations

from dataset_conversion.model import LabelTask

CLASSES = {1: "neutrophil", 2: "epithelial", 3: "lymphocyte", 4: "plasma", 5: "eosinophil", 6: "connective"}
"""Names by number, as in the arrays and counts.csv. Some copies of the data use other numbers."""

TASKS = (
    LabelTask(
        name="nuclei",
        summary="nuclei of every class",
        labels={"nuclei": 1},
        mapping=dict.fromkeys(CLASSES, 1),
    ),
    LabelTask(
        name="classes",
        summary="nuclei in six classes",
        labels={name: value for value, name in CLASSES.items()},
        mapping={value: value for value in CLASSES},
    ),
    LabelTask(
        name="boundary",
        summary="inside 1 and rim 2 of each nucleus; insides of two nuclei never touch",
        labels={"inside": 1, "rim": 2},
        mapping=dict.fromkeys(CLASSES, 1),
    ),
)
