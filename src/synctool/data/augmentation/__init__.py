"""The augmentations of training windows, one kind per module."""
