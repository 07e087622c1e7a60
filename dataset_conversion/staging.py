"""Where a conversion works until it is complete, and how it goes on after a kill.

``nnUNet_raw/.Dataset519_KiTS2019.partial/`` holds ``data/``, which becomes the data set by one rename at the very end,
and ``journal.jsonl``, one line for each case that is done. Its name does not begin with ``Dataset``, so nnU-Net does
not see it.
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
    """Write a file under a temporary name and rename it, so that its name never stands for half a file.

    Returns:
        Its size in bytes.
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
    """Say which folder could not be written, and how it goes on.

    Raises:
        ConversionError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        what = "make room" if error.errno in _FULL else "see to it"
        raise ConversionError(
            f"{folder} cannot be written ({error.strerror or error}); {what}, then --resume goes on from here"
        ) from error


def dump_json(content: Any) -> str:
    """JSON as it is written everywhere here: indented, keys in the given order, with a newline at the end."""
    return json.dumps(content, indent=2) + "\n"


def link_file(source: Path, target: Path, link: str) -> str:
    """Put a source file into the data set without copying its bytes, where the file system can.

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
            # A hard link to a symbolic link would break when the latter's target moves: link the file itself.
            os.link(source.resolve(), temporary)
            done = "hard link"
        except OSError:
            # Other disk, or a file system without links.
            shutil.copyfile(source, temporary)
    else:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    # Renaming one hard link onto another one of the same file does nothing, and leaves both.
    temporary.unlink(missing_ok=True)
    return done


def prefixes(sources: Sequence[Path]) -> list[str]:
    """What stands before a path of each source folder in the report: nothing for one, else as many names as differ.

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
    """What one case needs while it is converted. Workers get a copy."""

    root: Path
    settings: ConversionSettings
    sources: tuple[Path, ...] = ()

    def source_name(self, path: Path) -> str:
        """A source file's path below its source folder; with several of them, that folder's name comes first."""
        for source, prefix in zip(self.sources, prefixes(self.sources), strict=True):
            if path.is_relative_to(source):
                return f"{prefix}{path.relative_to(source).as_posix()}"
        return path.name

    def image_path(self, record: CaseRecord) -> str:
        """Where the case's image goes, relative to the data set's folder."""
        return f"{'imagesTs' if record.part == TEST else 'imagesTr'}/{record.id}_0000{self.settings.file_ending}"

    def label_path(self, record: CaseRecord, folder: str = "labels") -> str:
        """Where the case's label (or another map of its kind) goes, relative to the data set's folder."""
        return f"{folder}{'Ts' if record.part == TEST else 'Tr'}/{record.id}{self.settings.file_ending}"

    def write(self, record: CaseRecord, relative: str, contents: bytes) -> None:
        """Write one file of a case."""
        target = self.root / relative
        with writing(target.parent):
            target.parent.mkdir(exist_ok=True)
        record.outputs[relative] = write_atomically(target, contents)

    def link(self, record: CaseRecord, relative: str, source: Path) -> str:
        """Link one file of a case; returns what was done."""
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
    """The folder of a conversion under way.

    Args:
        raw: Folder of the raw data sets.
        name: The data set's folder name, once it is complete.
    """

    def __init__(self, raw: Path, name: str) -> None:
        """See the class."""
        self.final = raw / name
        self.folder = raw / f".{name}.partial"
        self.data = self.folder / "data"
        self._journal = self.folder / "journal.jsonl"
        self._job = self.folder / "job.json"

    @property
    def exists(self) -> bool:
        """Something was begun and not finished."""
        return self.folder.exists()

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folder.

        Args:
            job: What decides about the output: choices and sources. A resumed conversion must have the same.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True)
            self.data.mkdir()
        write_atomically(self._job, dump_json(job))

    def resume(self, job: Mapping[str, Any]) -> dict[str, CaseRecord]:
        """The cases that are done, by id.

        Raises:
            ConversionError: If it was begun with other choices, or the sources have changed since.
        """
        try:
            begun = dict(json.loads(self._job.read_text()))
        except FileNotFoundError:
            # Killed between making the folder and noting what it is for: nothing can be in it.
            self.discard()
            self.begin(job)
            return {}
        except (ValueError, TypeError) as error:
            raise ConversionError(
                f"{self._job} is empty or damaged, as after a power loss: what was begun is not known; --restart "
                f"begins anew"
            ) from error
        changed = sorted(key for key in {*begun, *job} if begun.get(key) != json.loads(json.dumps(job.get(key))))
        if changed:
            raise ConversionError(
                f"{self.folder} was begun with another {', '.join(changed)}; "
                f"give the same arguments and sources again, or --restart to begin anew"
            )
        done = self._done()
        for leftover in self.data.rglob(".*.tmp"):
            leftover.unlink()
        # Cut the half-written line off, so that the next one begins on a line of its own.
        write_atomically(self._journal, "".join(json.dumps(asdict(record)) + "\n" for record in done.values()))
        return done

    def done_before(self) -> set[str]:
        """Cases that need not be done again, if it can be resumed at all."""
        return set(self._done())

    def own_bytes(self) -> int:
        """Bytes that come free when it is discarded; what is linked stays where it was."""
        states = [path.lstat() for path in self.folder.rglob("*")] if self.exists else []
        return sum(state.st_size for state in states if state.st_nlink == 1)

    def note(self, record: CaseRecord) -> None:
        """Remember that a case is done."""
        with writing(self.folder), self._journal.open("a") as journal:
            journal.write(json.dumps(asdict(record)) + "\n")

    def finish(self, outputs: Mapping[str, int]) -> None:
        """Look a last time, and give the data set its name.

        Args:
            outputs: Every file of a case, relative to the data set's folder, with its size.
        """
        give_name(self.data, self.final, outputs)
        self.discard()

    def discard(self) -> None:
        """Remove everything."""
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
    """A journal line back as a record."""
    files = [FileRecord(**file) for file in content["files"]]
    return CaseRecord(**{**content, "files": files})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
