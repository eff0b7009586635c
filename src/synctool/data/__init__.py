"""Training data: finding videos and speakers, packed shards, pairs, windows."""
