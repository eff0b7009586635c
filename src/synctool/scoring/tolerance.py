"""What counts as right."""

RIGHT_FRAMES = 1.0
"""An answer is right within so many frames (of 40 ms) of the truth: what confidence is the probability of."""
