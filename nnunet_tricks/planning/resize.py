"""Images of one and the same size, whatever size they have; named in plans as nnU-Net's resampling functions are.

Stock nnU-Net has no such function: its own take images to one spacing. So plans that name this one need nnunet_tricks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName
from nnunet_tricks.nnunet.plans_file import RESIZE


def find(name: str) -> Callable[..., Any] | None:
    """What nnU-Net's search for a resampling function finds here.

    Raises:
        IllegalName: If the name begins as ours does, but is none.
    """
    if not name.startswith("nnunet_tricks"):
        return None
    if name != RESIZE:
        raise IllegalName(name, "there is no such one", [RESIZE], "resampling function")
    return nnunet_tricks_resize


def nnunet_tricks_resize(
    data: Any,
    new_shape: Sequence[int],
    current_spacing: Sequence[float],
    new_spacing: Sequence[float],
    *,
    shape: Sequence[int],
    resample: str,
    **settings: Any,
) -> Any:
    """Resample an image or a label map to a fixed number of voxels.

    Args:
        data: Channels x axes.
        new_shape: Size that nnU-Net made of the spacings; taken for axes that ``shape`` does not name, slices in 2D.
        current_spacing: Spacing of the data.
        new_spacing: Spacing of the plans.
        shape: Voxels along the last axes.
        resample: nnU-Net's function that does it.
        **settings: Settings of that function.

    Returns:
        Channels x axes, as the function makes it.

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((3, 1, 90, 120))
        >>> by = {"resample": "resample_data_or_seg_to_shape", "order": 1}
        >>> nnunet_tricks_resize(image, (1, 90, 120), (1, 1, 1), (1, 1, 1), shape=[20, 20], **by).shape
        (3, 1, 20, 20)
    """
    from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

    if len(shape) > len(new_shape):
        raise ValueError(f"shape {list(shape)} has more axes than an image of shape {list(data.shape[1:])}")
    goal = [*new_shape[: len(new_shape) - len(shape)], *shape]
    return recursive_find_resampling_fn_by_name(resample)(data, goal, current_spacing, new_spacing, **settings)
