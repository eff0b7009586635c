"""Pretraining tasks that need no labels."""
