"""The ledger: what each trick did on real data under nnU-Net, from verified reports."""
