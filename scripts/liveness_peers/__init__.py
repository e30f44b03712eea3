"""Published liveness networks beside ours, on the same frames with the same face boxes."""
