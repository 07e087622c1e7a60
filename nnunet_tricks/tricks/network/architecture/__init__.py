"""Networks of other kinds in place of nnU-Net's planned U-Net: one network per file."""
