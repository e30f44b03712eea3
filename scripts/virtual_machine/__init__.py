"""A whole Debian in qemu: another processor, a kernel of its own, a test camera, a network only if wanted.

It stands beside `proving_ground`, whose container has the host's kernel. Images are kept outside the
repository, in ~/.cache/vouchbox/machines, under a key of what they were made from.
"""
