"""The film and its inspection: pictures, voice and words in, a measured MP4 out; knows nothing of streams or money."""
