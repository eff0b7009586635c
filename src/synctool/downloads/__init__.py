"""Fetching by catalogue: weights and data sets, resumed, verified, unpacked, from mirrors or a local copy."""
