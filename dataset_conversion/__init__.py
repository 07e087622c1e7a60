"""Converters from downloaded data sets to nnU-Net raw data sets, without torch and without nnunetv2.

One module per data set says where its files lie, how they pair and what their labels mean. Everything else is shared.
`engine` runs the conversion, and `staging` makes sure that nothing unfinished has a final name. `volume`, `geometry`
and `picture` check files, `splits` keeps groups together, and `report` records what was done to every file.
"""
