"""SyncBench: a fixed, versioned test bench for anything that tells the offset of a video."""
