"""Benchmarks: asv classes, one module per stage, over the workloads that workloads.py defines."""
