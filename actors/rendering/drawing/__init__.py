"""What a frame is made of: pictures prepared once, text drawn once."""
