"""Videos: opening, timestamp-true decoding, audio on the common time base."""
