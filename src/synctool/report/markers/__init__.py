"""Segments as markers for editing programs and players: one file per format, ``formats`` knows them all."""
