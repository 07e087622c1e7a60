"""Experiments on a cluster: Snakemake submits the cells, each cell is the local queue's own."""
