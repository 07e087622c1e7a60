"""Looking at which channels a trained model shows twice."""
