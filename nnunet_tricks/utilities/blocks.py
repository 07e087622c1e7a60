"""Generated blocks in documents, each between two comments."""

from __future__ import annotations


def with_block(document: str, begin: str, end: str, content: str) -> str:
    """The document with the content of one block replaced.

    Args:
        document: Whole text of the document.
        begin: Comment before the block.
        end: Comment after the block.
        content: New content of the block.

    Raises:
        ValueError: If the document has no such block.

    Examples:
        >>> with_block("a <begin> old <end> z", "<begin>", "<end>", "new").split()
        ['a', '<begin>', 'new', '<end>', 'z']
    """
    before, _, rest = document.partition(begin)
    _, closing, after = rest.partition(end)
    if not closing:
        raise ValueError(f"the document has no {begin} ... {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
