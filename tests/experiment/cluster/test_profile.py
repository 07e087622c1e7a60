import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.cluster.profile import SCHEDULERS, Profile, read_profile
from nnunet_tricks.experiment.entry import SpecError


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Profile:
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        return read_profile(str(file))

    return write


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_is_shipped_can_be_printed_copied_and_read(name, tmp_path, capsys) -> None:
    assert main(["cluster", "profile", name]) == 0
    (tmp_path / "copy.yaml").write_text(capsys.readouterr().out)
    copy, shipped = read_profile(str(tmp_path / "copy.yaml")), read_profile(name)
    assert (copy.scheduler, copy.training, copy.options) == (name, shipped.training, shipped.options)
    assert (copy.name, shipped.name) == ("copy", name)


def test_a_gpu_is_asked_for_by_trainings_on_gpus_only() -> None:
    profile = read_profile("slurm")
    assert profile.training.requested("cuda") == {"gpu": 1}
    assert profile.training.requested("cpu") == {}
    assert profile.preparation.requested("cuda") == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("scheduler: slurm\npartition: gpu\n", "line 2: the file has no key 'partition'"),
        ("scheduler: slurm\ntrainings: {}\n", "line 2: the file has no key 'trainings'; did you mean 'training'?"),
        (
            "scheduler: slurm\ntraining: {memori: 3 GB}\n",
            "line 2: 'training' has no key 'memori'; did you mean 'memory'?",
        ),
        ("scheduler: pbs\n", "line 1: 'scheduler' must be one of slurm, lsf, kubernetes, local, got 'pbs'"),
        ("jobs: 3\n", "needs 'scheduler'"),
        ("scheduler: slurm\njobs: 0\n", "line 2: 'jobs' must be a whole number from 1 on, got 0"),
        ("scheduler: slurm\nlongest: forever\n", "line 2: 'forever' is not a duration"),
        ("scheduler: slurm\nlongest: 1:30\n", "line 2: '1:30' may be hours and minutes or minutes and seconds"),
        ("scheduler: slurm\ntraining: {memory: plenty}\n", "line 2: 'plenty' is not a size"),
        ("scheduler: slurm\ntraining:\n  gpu: {gres: gpu}\n  resources: {gres: disk}\n", "line 4: 'gres' is under"),
        ("scheduler: slurm\ntraining:\n  resources: {runtime: 3}\n", "line 3: 'runtime' is set from measurements"),
        ("scheduler: slurm\nsnakemake: {executor: lsf}\n", "line 2: Snakemake's option 'executor' is set by"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(written, text, complaint) -> None:
    with pytest.raises(SpecError, match=r"mine\.yaml, line") as caught:
        written(text)
    assert complaint in str(caught.value)


def test_times_as_slurm_writes_them_and_partitions_that_yaml_misreads(written) -> None:
    """YAML takes 1:00:00 for the number 3600, and no for false."""
    profile = written(
        "scheduler: slurm\nlongest: 2-00:00:00\ntraining:\n  time: 1:00:00\n  resources: {part: no, n: 010}\n"
    )
    assert (profile.longest, profile.training.seconds) == (2 * 86400, 3600)
    assert profile.training.resources == {"part": "no", "n": 10}


def test_no_such_profile(capsys) -> None:
    assert main(["cluster", "check", "--profile", "slrum"]) == 2
    assert "--profile slrum is neither a file nor one of slurm, lsf, kubernetes, local" in capsys.readouterr().err
