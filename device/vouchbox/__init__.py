"""vouchbox: a box that vouches for a live person and keeps the video.

The rooms are the folders beside this file; data walks one corridor through them:
camera -> vision ==> vault ==> uplink -> MQTT broker -> relying party. See README.md in each room.
"""

__version__ = "0.1.0"
