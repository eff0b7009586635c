"""Repairs: a video written anew with its audio where it belongs, all else as it was."""
