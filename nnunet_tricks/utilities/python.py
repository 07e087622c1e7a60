"""How a program of ours starts the interpreter that it runs in."""

import sys
from collections.abc import Sequence


def words_of_python(module: str | None = None) -> Sequence[str]:
    """The words that start Python, so that files in the working directory do not hide modules.

    ``python -m`` and ``python -c`` look for modules in the working directory first. A file ``random.py`` there would
    take the place of Python's own. Python 3.11 and later can be told not to look there.

    Args:
        module: Module to run, as after ``-m``.

    Returns:
        Words that come before the arguments of the module.

    Examples:
        >>> words_of_python("timeit")[-2:]
        ['-m', 'timeit']
    """
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *safe, *(["-m", module] if module else [])]
