"""Losses, augmentation, the training loop and its checkpoints."""
