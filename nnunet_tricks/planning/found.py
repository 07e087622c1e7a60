"""What nnU-Net looks up by name while it plans: planners and fingerprint extractors."""

from __future__ import annotations

from nnunet_tricks.planning import fingerprint, planners


def find(name: str) -> type | None:
    """The class of a name, or ``None`` where the name is of neither kind.

    Args:
        name: Name as it follows ``-pl`` or ``-fpe``.

    Raises:
        IllegalName: If it begins as ours do, but is none of them.

    Examples:
        >>> find("DatasetFingerprintExtractorAnnotated").__name__, find("ExperimentPlanner")
        ('DatasetFingerprintExtractorAnnotated', None)
    """
    return planners.find(name) or fingerprint.find(name)
