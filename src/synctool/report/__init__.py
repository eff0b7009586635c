"""Results for people and programs: terminal, JSON, CSV and plot.

A report takes *outcomes*: a :class:`~synctool.types.DetectResult` for a video that was measured, a
:class:`~synctool.report.outcome.Failure` for one that could not be.
"""
