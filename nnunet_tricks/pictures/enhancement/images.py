"""Files of the images to look at. Standard library only."""

from __future__ import annotations

from pathlib import Path

_CHANNEL = "_0000"


def cases(path: Path, ending: str) -> dict[str, list[str]]:
    """Files of each case, channel by channel, as nnU-Net names them: CASE_0000, CASE_0001, ...

    Args:
        path: First channel of an image, file of any name with the only channel, or folder of images.
        ending: Ending of the data set's files, such as ``.nii.gz``.

    Returns:
        Files by case.

    Raises:
        ValueError: If there is no such file.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a_0000.png", "a_0001.png", "b_0000.png"):
        ...         Path(folder, name).touch()
        ...     [(case, len(files)) for case, files in cases(Path(folder), ".png").items()]
        [('a', 2), ('b', 1)]
    """
    if path.is_dir():
        first = sorted(path.glob(f"*{_CHANNEL}{ending}"))
        if not first:
            raise ValueError(f"{path} has no image called CASE{_CHANNEL}{ending}, as the model's data set calls them")
        return dict(_case(file, ending) for file in first)
    if not path.is_file() or not path.name.endswith(ending):
        raise ValueError(f"IMAGE must be a file with the ending {ending} or a folder of such files, got {path}")
    return dict([_case(path, ending)])


def _case(first: Path, ending: str) -> tuple[str, list[str]]:
    stem = first.name.removesuffix(ending)
    if not stem.endswith(_CHANNEL):
        return stem, [str(first)]
    case = stem.removesuffix(_CHANNEL)
    digits = "[0-9]" * 4
    # Names are compared, not matched by a pattern: a case's name may hold square brackets.
    files = [f for f in first.parent.glob(f"*_{digits}{ending}") if f.name[: -len(ending) - 5] == case]
    return case, sorted(map(str, files))
