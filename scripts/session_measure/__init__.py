"""Whole sessions of the simulated subject through all four tests; started by scripts/measure_sessions."""
