"""What the built-in networks are; nothing heavy is imported here."""
