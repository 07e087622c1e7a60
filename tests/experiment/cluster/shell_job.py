"""The job of a node that also knows the cells of these tests, which are lines of bash."""

import sys

from nnunet_tricks.experiment.cluster import cell_file, job
from tests.experiment.generic import Shell

cell_file.KINDS["Shell"] = Shell
cell_file.CHECKED_ELSEWHERE.add("line")

if __name__ == "__main__":
    sys.exit(job.main(sys.argv[1:]))
