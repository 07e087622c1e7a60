"""The data sets by name. Standard library only."""

from __future__ import annotations

from importlib import import_module

from dataset_conversion.model import DataSet

MODULES = {
    "isic2018": "isic2018",
    "conic": "conic",
    "lizard": "lizard",
    "kits19": "kits19",
    "lits": "lits",
    "cosmos55k": "cosmos55k",
    "cosmos-style": "cosmos_style",
}


def load(name: str) -> DataSet:
    """Import the module of a data set."""
    data_set: DataSet = import_module(f"dataset_conversion.{MODULES[name]}").DATA_SET
    return data_set
