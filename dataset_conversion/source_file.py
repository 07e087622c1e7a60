"""Source files, read to their end: hash, Git LFS pointers, gzip that was cut off."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import imagecodecs

from dataset_conversion.contents import annex_pointer
from dataset_conversion.errors import Refused
from dataset_conversion.files_on_disk import memory, size_of, why_unreadable

Buffer = bytes | bytearray

_POINTER = b"version https://git-lfs"
_MOST_INFLATED = 1040
# Hashing releases Python's global lock, so it runs in parallel with decoding.
_HASHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")


class ExpectedSize(Protocol):
    """A function that tells the inflated length of a file from its first bytes."""

    def __call__(self, beginning: bytes) -> int:
        """Length in bytes."""
        ...


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The bytes of a source file, as on disk."""

    path: Path
    data: Buffer
    _hash: Future[str]

    @property
    def sha256(self) -> str:
        """Hash of the file, hexadecimal."""
        return self._hash.result()

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


def open_source(path: Path) -> SourceFile:
    """Read a file and start hashing it.

    The file is read, not mapped into memory. A disk that fails in the middle is then an error that can be reported, and
    not a signal that ends the process.

    Raises:
        Refused: If it is empty, unreadable, or a Git LFS pointer instead of the real file.
    """
    reason = why_unreadable(path)
    if reason:
        raise Refused(f"{path.name} {reason}")
    _check_memory(path, size_of(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror or error}") from error
    if not data:
        raise Refused(f"{path.name} is empty; download it again")
    if data.startswith(_POINTER):
        raise Refused(f"{path.name} is a Git LFS pointer, not the file itself; run 'git lfs pull' in its repository")
    if annex_pointer(data):
        raise Refused(
            f"{path.name} stands for content that git-annex has not fetched; run 'datalad get' or 'git annex get' on it"
        )
    return source_of(path, data)


def source_of(path: Path, data: Buffer) -> SourceFile:
    """Take bytes that are already in memory, and start hashing them."""
    return SourceFile(path=path, data=data, _hash=_HASHER.submit(lambda: hashlib.sha256(data).hexdigest()))


def hash_of(path: Path) -> str:
    """Hash a file that may be damaged; empty if it cannot be read at all."""
    if why_unreadable(path):
        return ""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def _check_memory(path: Path, size: int) -> None:
    """Refuse what this machine can never hold, however much memory is free."""
    if 0 < memory() < size:
        raise Refused(
            f"{path.name} has {size / 1e9:.1f} GB, and this machine has {memory() / 1e9:.1f} GB of memory: the file or "
            f"its header is damaged, or it needs a larger machine"
        )


def inflate(source: SourceFile, expected: ExpectedSize) -> Buffer:
    """Inflate a gzip file to its very end, and check its own checksum.

    Raises:
        Refused: If the file was cut off, or does not match its checksum. SimpleITK would silently fill the rest with
            zeros.
    """
    try:
        beginning = zlib.decompressobj(31).decompress(source.data[: 1 << 16], 1 << 12)
        size = expected(beginning)
        # Deflate makes at most 1032 bytes from one. A header that claims more is not believed, and costs no memory.
        size = size if size <= _MOST_INFLATED * len(source.data) else 1
        _check_memory(source.path, size)
        contents = imagecodecs.gzip_decode(source.data, out=size)
        if len(contents) == size:
            return contents
    except (imagecodecs.DeflateError, zlib.error):
        pass
    # The fast way takes one gzip member of the expected length. Everything else goes the slow way, which tells the
    # reason.
    try:
        with gzip.open(source.path) as file:
            return file.read()
    except EOFError as error:
        raise Refused(f"{source.path.name} is cut off: its gzip stream ends early; download it again") from error
    except (OSError, zlib.error) as error:
        raise Refused(f"{source.path.name} is damaged: {error}; download it again") from error
