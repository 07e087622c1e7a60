"""The folder for nnU-Net's ``nnUNet_extTrainer``. nnU-Net imports all that is in it, so it holds one light module."""
