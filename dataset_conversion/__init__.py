"""Downloaded data sets made into nnU-Net raw data sets, without torch and without nnunetv2.

One module per data set says where its files lie, how they pair and what their labels mean; everything else is shared:
`engine` runs the conversion, `staging` makes sure that nothing half-made carries a final name, `volume`, `geometry` and
`picture` check files, `splits` keeps groups together, `report` writes down what was done to every file.
"""
