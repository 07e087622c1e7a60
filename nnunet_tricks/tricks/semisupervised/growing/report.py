"""What became of label maps, for the user."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnunet_tricks.utilities.wording import some

BACKGROUND = "background"


@dataclass
class GrowReport:
    """What was made, or would be.

    Attributes:
        name: Full name of the new data set.
        members: From each fold that got labels to its ensemble.
        labelled: From each fold to the number of label maps made for it.
        unlabelled: Number of images without a label.
        kept: From a class to the share that is kept of the voxels predicted as it, among those nobody annotated.
        empty: Label maps of partly annotated cases without any new label of a class.
        left_out: Images without a label in which no class is certain anywhere.
        configurations: Configurations of the first plans.
        notes: What the user should know.
    """

    name: str
    members: dict[str, list[str]]
    labelled: dict[str, int]
    unlabelled: int = 0
    kept: dict[str, float | None] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    configurations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note_starved_classes(self) -> None:
        """Warn of classes of which nothing was kept, where others have new labels."""
        starved = [name for name, share in self.kept.items() if name != BACKGROUND and not share]
        if starved and any(self.kept.values()):
            self.notes.append(
                f"no label of {some(starved)} was added, and a training on these labels sees what is around it: it may "
                f"learn that there is none. Give a lower threshold, such as {starved[0]}=0.7, or take better models"
            )
