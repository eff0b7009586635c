"""One video from file to verdict: decode, track, crop, encode, analyze."""
