"""`vouchbox setup`: from an installed package to a box that works, step by step; nothing is half-written."""
