"""`python -m vouchbox` is the `vouchbox` command."""

from vouchbox.cli import main

main()
