"""How stock nnU-Net finds us: a link into its look-ups, or a folder for its ``nnUNet_extTrainer``. No torch here."""
