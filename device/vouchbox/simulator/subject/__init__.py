"""The simulated subject: a frame source with a person, a print, a screen or a mask before it."""
