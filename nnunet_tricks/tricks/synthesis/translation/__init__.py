"""A CycleGAN between the images of two data sets, and one data set with the look of the other."""
