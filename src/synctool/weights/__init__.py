"""Trained weights: those that come with the package, and files on disk; never unpickled."""
