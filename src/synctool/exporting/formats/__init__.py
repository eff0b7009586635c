"""Trained networks as graphs that run without this package: one module per format writes them."""
