"""Adapting a model to the videos of a folder, without labels, and only where it helps."""
