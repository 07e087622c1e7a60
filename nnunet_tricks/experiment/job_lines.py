"""Cells as a bash script, for a shell, xargs, SLURM or LSF."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_tricks.experiment.cell import Cell


@dataclass
class Chain:
    """Cells that run one after the other in one job.

    Attributes:
        name: Name of the job.
        cells: Cells in their order.
        after: Numbers of the chains that must have ended well before.
        level: Depth in the graph of chains: 0 without predecessors, else one more than the highest of them.
    """

    name: str
    cells: list[Cell] = field(default_factory=list)
    after: set[int] = field(default_factory=set)
    level: int = 0

    @property
    def line(self) -> str:
        """All commands in one line of bash."""
        return " && ".join(shlex.join(cell.words()) for cell in self.cells)

    @property
    def on_device(self) -> bool:
        """Whether one of its cells needs a GPU."""
        return any(cell.on_device for cell in self.cells)


def chains(cells: Sequence[Cell]) -> list[Chain]:
    """The cells that are not done, in one chain for each data set's plans and one for each model.

    Args:
        cells: Lowest rank first; whoever prints the lines links the images of predictions.
    """
    open_cells = [cell for cell in cells if not cell.is_done()]
    by_name: dict[str, Chain] = {}
    for cell in open_cells:
        name = cell.key.rpartition("/")[0]
        by_name.setdefault(name, Chain(name.replace("/", "_"))).cells.append(cell)
    numbers = {name: number for number, name in enumerate(by_name)}
    for name, chain in by_name.items():
        needed = {key.rpartition("/")[0] for cell in chain.cells for key in cell.after}
        chain.after = {numbers[other] for other in needed if other in numbers and other != name}
    ordered = list(by_name.values())
    for _ in ordered:  # as many rounds as a chain of chains can be long
        for chain in ordered:
            chain.level = 1 + max((ordered[number].level for number in chain.after), default=-1)
    return ordered


def for_shell(chained: Sequence[Chain], *, gpu: bool, options: str = "") -> str:
    """Plain lines. The lines of a paragraph may run at the same time, one paragraph after the other."""
    return "\n\n".join("\n".join(chain.line for chain in level) for level in _levels(chained)) + "\n"


def for_xargs(chained: Sequence[Chain], *, gpu: bool, options: str = "") -> str:
    """Lines for ``xargs``, which runs ``$JOBS`` lines of a paragraph at a time."""
    words = " ".join(filter(None, ['xargs -P "${JOBS:-1}" -d "\\n" -I{}', options, "bash -c {}"]))
    return "".join(
        "\n".join([f"{words} <<'CELLS' || exit 1", *(chain.line for chain in level), "CELLS\n"])
        for level in _levels(chained)
    )


def for_slurm(chained: Sequence[Chain], *, gpu: bool, options: str = "") -> str:
    """Lines of ``sbatch``: one job for each chain, after the jobs that it needs."""
    lines = []
    for number, chain in _by_level(chained):
        after = ":".join(f"$job{needed}" for needed in sorted(chain.after))
        words = [f"job{number}=$(sbatch --parsable --job-name={shlex.quote(chain.name)}"]
        # Otherwise a job whose predecessor failed would wait forever.
        words += [f"--dependency=afterok:{after}", "--kill-on-invalid-dep=yes"] if after else []
        words += ["--gres=gpu:1"] if gpu and chain.on_device else []
        words += [options] if options else []
        lines.append(" ".join([*words, f"--wrap={shlex.quote(chain.line)})"]))
    return "\n".join(lines) + "\n"


def for_lsf(chained: Sequence[Chain], *, gpu: bool, options: str = "") -> str:
    """Lines of ``bsub``: one job for each chain, after the jobs that it needs."""
    lines = []
    for _, chain in _by_level(chained):
        after = " && ".join(f"done({chained[needed].name})" for needed in sorted(chain.after))
        words = ["bsub", "-J", shlex.quote(chain.name)]
        words += ["-w", shlex.quote(after)] if after else []
        words += ["-gpu", "num=1"] if gpu and chain.on_device else []
        words += [options] if options else []
        lines.append(" ".join([*words, shlex.quote(chain.line)]))
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Callable[..., str]] = {
    "shell": for_shell,
    "xargs": for_xargs,
    "sbatch": for_slurm,
    "bsub": for_lsf,
}
"""The formats of ``--runner print``."""


def _levels(chained: Sequence[Chain]) -> list[list[Chain]]:
    levels = sorted({chain.level for chain in chained})
    return [[chain for chain in chained if chain.level == level] for level in levels]


def _by_level(chained: Sequence[Chain]) -> list[tuple[int, Chain]]:
    return sorted(enumerate(chained), key=lambda numbered: numbered[1].level)
