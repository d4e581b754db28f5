"""`bench halt`: how soon a halt holds, what it costs, and that nothing is lost or paid by it."""
