"""Made-up videos of drawn faces that speak with a synthesized voice, with exactly known truth."""
