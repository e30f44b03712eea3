"""Measures the liveness tests; started by scripts/measure_liveness. Writes numbers only, never a picture."""
