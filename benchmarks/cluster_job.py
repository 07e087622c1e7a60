"""The job of a node that also knows the cells of ``benchmarks.cluster``, whose command does nothing."""

from __future__ import annotations

import sys

from benchmarks.cluster import EmptyCell
from nnunet_tricks.experiment.cluster import cell_file, job

cell_file.KINDS["EmptyCell"] = EmptyCell

if __name__ == "__main__":
    sys.exit(job.main(sys.argv[1:]))
