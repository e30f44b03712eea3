"""Turns public model sources into the int8 files of models/. Runs at build time only, in an environment of
its own (TensorFlow); nothing here is installed on a box or imported by the package `vouchbox`."""

import os

# TensorFlow 2.21 with oneDNN crashes on compiled depthwise graphs, and rounds differently from run to run.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
