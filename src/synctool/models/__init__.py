"""Networks' common parts: the encoder protocol, correlation, score-volume heads."""
