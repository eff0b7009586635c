"""Streams measured while they run."""
