"""What runs a network, in numpy arrays: PyTorch, or one of the formats that ``export`` writes."""
