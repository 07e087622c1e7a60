"""The store of weights: files that were read, matched and renamed once, so that trainings need only copy them.

An entry is a safetensors file with the names of its architecture, and a JSON file beside it, which says where it comes
from. Trainings read nothing else: no network, no pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.catalogue.repair import RESERVED
from nnunet_tricks.tricks.pretraining.weights.sources import RESTRICTED, SOURCES, known
from nnunet_tricks.utilities.files import replacing, write_atomically
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "nnUNet_tricks_weights"
"""Variable of the environment that names the store's folder."""

_WORD = re.compile(r"[a-z][a-z0-9]{0,31}")
"""How entries are called that no trick is called like: as it can stand in a trainer's name."""


@dataclass(frozen=True, kw_only=True)
class StoredWeights:
    """Weights in the store.

    Attributes:
        name: Trick that starts from them, or a word for ``Pretrained_<word>``.
        architecture: timm's name of the architecture, or ``nnunet``.
        sha256: Sum of the entry's own file.
        tensors: Number of tensors in it.
        matched: How much of the architecture they are, in words.
        source: File or place that they come from.
        source_sha256: Sum of that file.
        licence: Licence, as SPDX writes it.
        mean: Means of the colours that they were trained with; empty if nobody said.
        std: Standard deviations of these.
    """

    name: str
    architecture: str
    sha256: str
    tensors: int
    matched: str
    source: str
    source_sha256: str
    licence: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def described(self) -> str:
        """What was loaded, for logs: the source with its sum, and how much of the architecture it is."""
        return f"{self.name} for {self.architecture} from {self.source} (sha256 {self.source_sha256}), {self.matched}"

    @property
    def licence_note(self) -> str:
        """The licence in words."""
        forbids = RESTRICTED.get(self.licence, "")
        return self.licence + (f", {forbids}" if forbids else "")


@dataclass(frozen=True)
class Store:
    """A folder of weights.

    Attributes:
        folder: The folder, which may not exist yet.
    """

    folder: Path

    @classmethod
    def usual(cls, variables: Mapping[str, str] = os.environ) -> Store:
        """The store of the environment: its own variable, or beside nnU-Net's results.

        Raises:
            ValueError: If neither variable is set.
        """
        if named := variables.get(VARIABLE):
            return cls(Path(named).absolute())
        if results := variables.get("nnUNet_results"):
            return cls(Path(results).absolute().parent / VARIABLE)
        raise ValueError(
            f"neither {VARIABLE} nor nnUNet_results is set: 'export {VARIABLE}=FOLDER' with a folder for weights"
        )

    def file(self, name: str, architecture: str) -> Path:
        """The file of an entry, whether it is there or not."""
        return self.folder / architecture / f"{name}.safetensors"

    def entries(self) -> Iterator[StoredWeights]:
        """All entries, by architecture and name."""
        for file in sorted(self.folder.glob("*/*.json")):
            yield self._read(file)

    def find(self, name: str, architecture: str) -> StoredWeights | None:
        """An entry, if it is there; its file is not looked at."""
        file = self.file(name, architecture).with_suffix(".json")
        return self._read(file) if file.is_file() else None

    def require(self, name: str, architecture: str) -> StoredWeights:
        """An entry whose file is as it was when it was added.

        Raises:
            ValueError: If it is not there, with the command that brings it, or if its file has changed.
        """
        entry = self.find(name, architecture)
        if entry is None:
            raise ValueError(f"{self.folder} has no {name} for {architecture}: {how_to_get(name, architecture)}")
        file = self.file(name, architecture)
        if not file.is_file() or (now := digest(file)) != entry.sha256:
            state = "is not there any more" if not file.is_file() else f"has changed (sha256 {now})"
            raise ValueError(
                f"{file} {state}, and it was added with sha256 {entry.sha256}: delete {file.with_suffix('.json')} and "
                f"add it again, {how_to_get(name, architecture)}"
            )
        return entry

    def weights(self, entry: StoredWeights) -> dict[str, Tensor]:
        """An entry's tensors by the names of its architecture."""
        from safetensors.torch import load_file

        return dict(load_file(self.file(entry.name, entry.architecture)))

    def add(self, weights: Mapping[str, Tensor], **facts: Any) -> tuple[StoredWeights, bool]:
        """Write an entry.

        Args:
            weights: Tensors by the names of the architecture.
            facts: Fields of ``StoredWeights``; what is counted or summed here is left out.

        Returns:
            The entry, and whether it is new.

        Raises:
            ValueError: If there is another one of the name, since results may come from it.
        """
        from safetensors.torch import save_file

        name, architecture = facts["name"], facts["architecture"]
        present = self.find(name, architecture)
        if present is not None:
            if present.source_sha256 == facts["source_sha256"]:
                return self.require(name, architecture), False
            raise ValueError(
                f"{self.folder} has another {name} for {architecture}, from {present.source}, and trainings may have "
                f"started from it: choose another name with --as, or delete {self.file(name, architecture)} and the "
                ".json beside it"
            )
        file = self.file(name, architecture)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            save_file({key: tensor.detach().cpu().contiguous().clone() for key, tensor in weights.items()}, temporary)
        entry = StoredWeights(sha256=digest(file), tensors=len(weights), **facts)
        write_atomically(file.with_suffix(".json"), json.dumps(asdict(entry), indent=2) + "\n")
        return entry, True

    @staticmethod
    def _read(file: Path) -> StoredWeights:
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            lists = {key: tuple(value) for key, value in facts.items() if isinstance(value, list)}
            entry = StoredWeights(**{**facts, **lists})
            if (entry.architecture, entry.name) != (file.parent.name, file.stem):
                raise ValueError(f"it says {entry.name} for {entry.architecture}")
            return entry
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file} is no entry of a store of weights ({error}): delete it and add it again"
            ) from error


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    sha256 = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            sha256.update(chunk)
    return sha256.hexdigest()


def check_name(name: str) -> None:
    """Refuse names of entries that could not stand in a trainer's name.

    Raises:
        ValueError: With what is allowed.
    """
    if known(name) or (_WORD.fullmatch(name) and not RESERVED.fullmatch(name)):
        return
    raise ValueError(
        f"--as must be a trick ({some(_names())}) or a word of small letters and digits, at most 32, got '{name}'"
    )


def how_to_get(name: str, architecture: str) -> str:
    """The command that brings an entry."""
    source = known(name, architecture)
    if source and (source.tag or source.package[0]):
        return f"'nnunet-tricks weights fetch {name} --for {architecture}' brings it"
    file = f" (published as {source.file})" if source and source.file else ""
    others = [other.architecture for other in SOURCES if other.name == name]
    if others and not source:
        file = f"; published for {', '.join(others)} only"
    return f"'nnunet-tricks weights add FILE --as {name} --for {architecture}' makes it of a file that you have{file}"


def _names() -> list[str]:
    return list(dict.fromkeys(source.name for source in SOURCES))
