"""Random and hostile input for everything that reads bytes from outside. `scripts/fuzz` is the long run; the
test suite runs the same targets for a moment (tests/fuzz). A new decoder gets a Target in targets.py.
"""
