"""Speed and memory, always as a ratio against a baseline in the same run."""
