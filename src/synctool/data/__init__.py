"""Training data: finding films and speakers, packed shards, pairs, windows."""
