"""The vision room: frames in, numbers out. It has no network, no key and writes no file."""
