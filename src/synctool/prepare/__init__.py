"""Videos to training data: finding videos, clips in shards, splits, pairs."""
