"""Pictures of attention maps and channel weights of a trained model."""
