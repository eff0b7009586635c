"""The protocols of the papers, for the benchmarks: multi-way accuracy, and segments that must agree."""
