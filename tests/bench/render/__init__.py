"""`bench render`: what a film costs beside its bare encode and beside others, and how steadily it moves."""
