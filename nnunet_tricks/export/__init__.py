"""Trained models for people who have nnU-Net, but not this package.

``model`` is a model folder as nnU-Net leaves it, ``stock`` decides whether nnU-Net can predict with it by itself,
``write`` makes the folder that travels. ``onnx_model`` makes networks for other programs than nnU-Net.
"""
