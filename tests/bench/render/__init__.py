"""The renderer beside the bare encoder, the ffmpeg command line and MoviePy, on the same films."""
