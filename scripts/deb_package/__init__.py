"""Builds the Debian package of a box: every wheel unpacked, no network and no compiler at install."""
