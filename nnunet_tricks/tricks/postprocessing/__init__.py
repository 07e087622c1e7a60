"""What is done to finished segmentations: components kept, small ones removed, holes filled."""
