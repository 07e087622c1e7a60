"""What a configuration will take, said before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.nnunet.plans_file import Plans, resolve
from nnunet_tricks.planning.memory import estimated_gigabytes
from nnunet_tricks.planning.patch import padding_note
from nnunet_tricks.planning.small import BLOCKS


@dataclass(frozen=True)
class Outlook:
    """The outlook for one configuration.

    Attributes:
        gigabytes: GPU memory by nnU-Net's own rule; ``None`` if its network is not one that nnU-Net plans.
        data: Name of the folder of its preprocessed images.
        preprocessed: Whether that folder is there.
        padding: A sentence where patches are larger than the median image, else nothing.
    """

    gigabytes: float | None
    data: str
    preprocessed: bool
    padding: str

    def report(self) -> dict[str, float | bool | str | None]:
        """Memory, data and padding, as ``plan --json`` prints them."""
        size = None if self.gigabytes is None else round(self.gigabytes, 2)
        return {"gigabytes": size, "preprocessed": self.preprocessed, "padding": self.padding}


def outlook(folder: Path, plans: Plans, name: str, labels: int) -> Outlook:
    """What a configuration will take.

    Args:
        folder: Folder of the data set's preprocessed data.
        plans: Content of a plans file, whether it is written yet or not.
        name: Name of the configuration.
        labels: Number of labels, background included.
    """
    resolved = resolve(plans, name)
    network = str(resolved.get("architecture", {}).get("network_class_name", "")).rpartition(".")[2]
    size = estimated_gigabytes(resolved, len(resolved["normalization_schemes"]), labels) if network in BLOCKS else None
    data = str(resolved["data_identifier"])
    return Outlook(size, data, (folder / data).is_dir(), padding_note(plans, name, resolved["patch_size"]))


def memory_note(before: Outlook, after: Outlook) -> str:
    """A sentence about GPU memory, or nothing if it is not known.

    Examples:
        >>> memory_note(Outlook(8.0, "", False, ""), Outlook(3.125, "", False, ""))
        "GPU memory by nnU-Net's own rule: 8 GB -> 3.1 GB"
    """
    if after.gigabytes is None:
        return ""
    change = "" if before.gigabytes in (None, after.gigabytes) else f"{before.gigabytes:.2g} GB -> "
    return f"GPU memory by nnU-Net's own rule: {change}{after.gigabytes:.2g} GB"
