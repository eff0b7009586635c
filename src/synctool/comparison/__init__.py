"""Several models on the same videos under the same conditions."""
