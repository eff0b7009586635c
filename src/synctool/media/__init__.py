"""Videos: opening, timestamp-true decoding, sound on the common time base."""
