"""A booted Debian with the real units, and a small world around it: what the appliance tests stand on.

It needs root, systemd-nspawn and mmdebstrap. Everything runs in namespaces of its own and is gone at the end;
only the base system is kept, in .cache/.
"""
