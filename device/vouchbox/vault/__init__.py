"""The vault: the only room with keys. It reads requests and examinations, and states signed verdicts.

It never sees a frame and never opens a network socket.
"""
