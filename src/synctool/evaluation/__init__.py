"""Metrics, known shifts, calibration."""
