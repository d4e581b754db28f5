"""What is seen when: shots, moves and captions, all on one grid of frames."""
