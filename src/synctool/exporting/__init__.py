"""A trained network as a folder of graphs that run without PyTorch, with the proof that they agree."""
