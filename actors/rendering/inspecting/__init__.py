"""The finished file, measured and judged against its plan."""
