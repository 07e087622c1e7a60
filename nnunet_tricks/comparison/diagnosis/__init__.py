"""Why a training fails: what its log, its settings and its data show.

``training`` reads what nnU-Net has left of a training, ``data`` its preprocessed cases. ``labels`` looks for faults of
labels, with ``alignment`` for where they lie, ``loading`` for epochs that wait, ``curves`` for what users see.
``diagnose`` joins what is seen to what is wrong. Nothing here imports torch, unless only a checkpoint tells of epochs.
"""
