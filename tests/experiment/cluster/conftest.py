"""Fixtures of the tests of experiments, too."""

from tests.experiment.conftest import folders, preprocessed, spec  # noqa: F401, fixtures
