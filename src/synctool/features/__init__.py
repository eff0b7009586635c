"""Audio features on the common time base: four steps of 10 ms per 25 Hz video frame."""
