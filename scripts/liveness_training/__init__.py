"""Trains the liveness network of `passive`: material, recapture simulator, teacher, network, int8 file.

Start reading at __main__.py. Runs on a developer's machine only; nothing of it is installed on a box.
"""
