"""What an installation has, what is wrong with it, and what to do about that."""
