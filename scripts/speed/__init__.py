"""Benchmarks: ratios against the plain formulation, measured in the same run."""
