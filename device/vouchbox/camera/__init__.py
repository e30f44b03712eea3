"""The camera room: frames into locked, wiped memory. It decides nothing about a person."""
