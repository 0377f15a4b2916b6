"""Training, evaluation and checkpoints, over any domain."""
