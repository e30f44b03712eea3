"""Runs every room on one developer machine, with a simulated person before a simulated camera."""
