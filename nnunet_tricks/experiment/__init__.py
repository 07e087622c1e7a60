"""Experiments: a file that says what to train -> cells, each one of nnU-Net's commands -> a queue that runs them."""
