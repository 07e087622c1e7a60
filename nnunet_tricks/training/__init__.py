"""What every trick stands on."""
