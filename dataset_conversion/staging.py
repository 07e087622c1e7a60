"""The folder in which a conversion works until it is complete, and how it continues after a kill.

``nnUNet_raw/.Dataset519_KiTS2019.partial/`` holds ``data/``, which is renamed to the data set at the very end, and
``journal.jsonl``, with one line for each case that is done. The folder's name does not begin with ``Dataset``, so
nnU-Net does not see it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.errors import ConversionError, Refused
from dataset_conversion.final_check import give_name
from dataset_conversion.model import TEST, CaseRecord, ConversionSettings, FileRecord

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, contents: bytes | str) -> int:
    """Write a file under a temporary name and rename it, so that its name never belongs to half a file.

    Returns:
        Size of the file in bytes.
    """
    data = contents.encode() if isinstance(contents, str) else contents
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path.parent):
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    return len(data)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Name the folder that could not be written, and say how to continue.

    Raises:
        ConversionError: Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        what = "make room" if error.errno in _FULL else "fix that"
        raise ConversionError(
            f"{folder} cannot be written ({error.strerror or error}); {what}, then --resume continues from here"
        ) from error


def dump_json(content: Any) -> str:
    """Write JSON in the one form used here: indented, keys in the given order, with a newline at the end."""
    return json.dumps(content, indent=2) + "\n"


def link_file(source: Path, target: Path, link: str) -> str:
    """Put a source file into the data set, without copying its bytes if the file system can do that.

    Args:
        source: The file.
        target: Its new name.
        link: ``hard``, ``symbolic`` or ``copy``.

    Returns:
        What was done: ``hard link``, ``symbolic link`` or ``copy``.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    done = "copy"
    if link == "symbolic":
        temporary.symlink_to(source.resolve())
        done = "symbolic link"
    elif link == "hard":
        try:
            # A hard link to a symbolic link would break when its target moves, so the file itself is linked.
            os.link(source.resolve(), temporary)
            done = "hard link"
        except OSError:
            # Another disk, or a file system without hard links.
            shutil.copyfile(source, temporary)
    else:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    # Renaming a hard link onto another hard link of the same file does nothing, and leaves both.
    temporary.unlink(missing_ok=True)
    return done


def prefixes(sources: Sequence[Path]) -> list[str]:
    """Prefix of the paths of each source folder in the report: empty for one folder, else enough names to differ.

    Examples:
        >>> prefixes([Path("/x/a/data"), Path("/x/b/data")])
        ['a/data/', 'b/data/']
    """
    if len(sources) == 1:
        return [""]
    parts = [source.absolute().parts for source in sources]
    depth = 1
    while depth < max(map(len, parts)) and len({part[-depth:] for part in parts}) < len(set(parts)):
        depth += 1
    return ["/".join(name for name in part[-depth:] if name != "/") + "/" for part in parts]


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a case needs while it is converted. Each worker gets a copy."""

    root: Path
    settings: ConversionSettings
    sources: tuple[Path, ...] = ()

    def source_name(self, path: Path) -> str:
        """Path of a source file below its source folder; with several folders, the folder's name comes first."""
        for source, prefix in zip(self.sources, prefixes(self.sources), strict=True):
            if path.is_relative_to(source):
                return f"{prefix}{path.relative_to(source).as_posix()}"
        return path.name

    def image_path(self, record: CaseRecord) -> str:
        """Path of the case's image below the data set's folder."""
        return f"{'imagesTs' if record.part == TEST else 'imagesTr'}/{record.id}_0000{self.settings.file_ending}"

    def label_path(self, record: CaseRecord, folder: str = "labels") -> str:
        """Path of the case's label, or of another map of its kind, below the data set's folder."""
        return f"{folder}{'Ts' if record.part == TEST else 'Tr'}/{record.id}{self.settings.file_ending}"

    def write(self, record: CaseRecord, relative: str, contents: bytes) -> None:
        """Write one file of a case."""
        target = self.root / relative
        with writing(target.parent):
            target.parent.mkdir(exist_ok=True)
        record.outputs[relative] = write_atomically(target, contents)

    def link(self, record: CaseRecord, relative: str, source: Path) -> str:
        """Link one file of a case, and return what was done."""
        target = self.root / relative
        with writing(target.parent):
            target.parent.mkdir(exist_ok=True)
            try:
                done = link_file(source, target, self.settings.link)
                record.outputs[relative] = target.stat().st_size
            except OSError as error:
                if error.errno not in _FULL and str(source) in (str(error.filename), str(error.filename2)):
                    raise Refused(f"{source.name} cannot be read: {error.strerror or error}") from error
                raise
        return done


class Staging:
    """The folder of an unfinished conversion.

    Args:
        raw: Folder of the raw data sets.
        name: Folder name of the complete data set.
    """

    def __init__(self, raw: Path, name: str) -> None:
        """Name the folders and files; nothing is made yet."""
        self.final = raw / name
        self.folder = raw / f".{name}.partial"
        self.data = self.folder / "data"
        self._journal = self.folder / "journal.jsonl"
        self._job = self.folder / "job.json"

    @property
    def exists(self) -> bool:
        """Whether a conversion was begun and not finished."""
        return self.folder.exists()

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folder.

        Args:
            job: Choices and sources that decide the output. A resumed conversion must have the same.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True)
            self.data.mkdir()
        write_atomically(self._job, dump_json(job))

    def resume(self, job: Mapping[str, Any]) -> dict[str, CaseRecord]:
        """Read the cases that are done, by id.

        Raises:
            ConversionError: If the conversion was begun with other choices, or the sources have changed since.
        """
        try:
            begun = dict(json.loads(self._job.read_text()))
        except FileNotFoundError:
            # It was killed between making the folder and noting its job: nothing can be in it.
            self.discard()
            self.begin(job)
            return {}
        except (ValueError, TypeError) as error:
            raise ConversionError(
                f"{self._job} is empty or damaged, as after a power loss: nobody knows what was begun; --restart "
                f"begins again"
            ) from error
        changed = sorted(key for key in {*begun, *job} if begun.get(key) != json.loads(json.dumps(job.get(key))))
        if changed:
            raise ConversionError(
                f"{self.folder} was begun with another {', '.join(changed)}; "
                f"give the same arguments and sources again, or --restart to begin again"
            )
        done = self._done()
        for leftover in self.data.rglob(".*.tmp"):
            leftover.unlink()
        # Remove a half-written line, so that the next record begins on a line of its own.
        write_atomically(self._journal, "".join(json.dumps(asdict(record)) + "\n" for record in done.values()))
        return done

    def done_before(self) -> set[str]:
        """Cases that need not be done again, if the conversion can be resumed."""
        return set(self._done())

    def own_bytes(self) -> int:
        """Bytes that are freed when the folder is discarded; linked files stay where they are."""
        states = [path.lstat() for path in self.folder.rglob("*")] if self.exists else []
        return sum(state.st_size for state in states if state.st_nlink == 1)

    def note(self, record: CaseRecord) -> None:
        """Record that a case is done."""
        with writing(self.folder), self._journal.open("a") as journal:
            journal.write(json.dumps(asdict(record)) + "\n")

    def finish(self, outputs: Mapping[str, int]) -> None:
        """Check the data set a last time, and give it its name.

        Args:
            outputs: Size of every file of a case, by its path below the data set's folder.
        """
        give_name(self.data, self.final, outputs)
        self.discard()

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def _done(self) -> dict[str, CaseRecord]:
        done = {}
        for line in self._journal.read_text(errors="replace").splitlines() if self._journal.exists() else []:
            try:
                record = record_from_json(json.loads(line))
                if all(_size(self.data / path) == size for path, size in record.outputs.items()):
                    done[record.id] = record
            except (ValueError, TypeError, KeyError, AttributeError):
                # The line that was being written when the conversion was killed.
                continue
        return done


def record_from_json(content: Mapping[str, Any]) -> CaseRecord:
    """Make a record from a line of the journal."""
    files = [FileRecord(**file) for file in content["files"]]
    return CaseRecord(**{**content, "files": files})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
