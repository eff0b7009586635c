"""Losses for the offset between video and audio, and what they read from a batch."""
