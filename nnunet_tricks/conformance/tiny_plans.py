"""Plans that train in milliseconds, with the parts of real ones: several stages, a cascade, anisotropy."""

from __future__ import annotations

from typing import Any

PLANS_NAME = "nnUNetPlans"

STRIDES = {2: [[1, 1], [2, 2], [2, 2], [2, 2]], 3: [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]]}
"""Strides of four stages, so that deep supervision has three levels; nnU-Net gives the last one no weight."""

_RESAMPLING = {
    "resampling_fn_data": "resample_data_or_seg_to_shape",
    "resampling_fn_seg": "resample_data_or_seg_to_shape",
    "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
    "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
    "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
    "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
}


def tiny_plans(dataset_name: str, *, flat: bool, intensities: dict[str, Any]) -> dict[str, Any]:
    """A plans file for the tiny images.

    Args:
        dataset_name: ``DatasetXXX_Name``.
        flat: Whether the images are 2D (RGB) or 3D (one channel).
        intensities: ``foreground_intensity_properties_per_channel`` of the fingerprint.

    Returns:
        What ``nnUNetv2_plan_experiment`` would write, smaller.
    """
    if flat:
        configurations = {"2d": _configuration("2d", patch=[32, 32], spacing=[1.0, 1.0], channels=3, batch_dice=True)}
    else:
        # Six slices to 24 pixels is flat enough for nnU-Net to augment slice by slice, six to 16 is not.
        full = _configuration("3d_fullres", patch=[6, 24, 24], spacing=[3.0, 1.0, 1.0], channels=1, batch_dice=False)
        low = _configuration("3d_lowres", patch=[6, 16, 16], spacing=[3.0, 1.6, 1.6], channels=1, batch_dice=False)
        configurations = {
            "3d_lowres": {**low, "next_stage": "3d_cascade_fullres"},
            "3d_fullres": full,
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres", "batch_dice": True},
        }
    return {
        "dataset_name": dataset_name,
        "plans_name": PLANS_NAME,
        "original_median_spacing_after_transp": [999.0, 1.0, 1.0] if flat else [3.0, 1.0, 1.0],
        "original_median_shape_after_transp": [1, 36, 36] if flat else [7, 28, 28],
        "image_reader_writer": "NaturalImage2DIO" if flat else "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": configurations,
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": intensities,
    }


def _configuration(
    name: str, *, patch: list[int], spacing: list[float], channels: int, batch_dice: bool
) -> dict[str, Any]:
    strides = STRIDES[len(patch)]
    stages = len(strides)
    return {
        "data_identifier": f"{PLANS_NAME}_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "median_image_size_in_voxels": [float(n) for n in patch],
        "spacing": spacing,
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [False] * channels,
        **_RESAMPLING,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": [4, 6, 8, 8],
                "conv_op": f"torch.nn.modules.conv.Conv{len(patch)}d",
                "kernel_sizes": [[1, 3, 3], *[[3, 3, 3]] * (stages - 1)] if len(patch) == 3 else [[3, 3]] * stages,
                "strides": strides,
                "n_conv_per_stage": [1] * stages,
                "n_conv_per_stage_decoder": [1] * (stages - 1),
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{len(patch)}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": batch_dice,
    }
