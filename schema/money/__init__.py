"""Money: reserved before it is spent, settled after, and never spent twice by accident."""
