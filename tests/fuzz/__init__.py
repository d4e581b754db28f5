"""Everything that comes from outside, broken at random and read by the product's own readers; see `__main__`."""
