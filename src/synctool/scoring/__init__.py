"""From a score volume to an answer: offset, path, segments, drift, confidence, verdict.

Shared by all models; numpy and scipy only. A score volume is float32 ``[2K+1, T]``: row ``k`` is
the offset ``k - K`` frames, column ``t`` the 25 Hz frame ``t``, higher is a better match, and NaN
says that there is nothing to compare (no face, or the candidate audio frame lies outside the video).
``offset > 0``: audio ahead of the video. When the audio of video frame ``t`` lies at audio
position ``t - n``, row ``K + n`` is the best one.
"""
