"""Pictures of the channels that a trained model shows twice."""
