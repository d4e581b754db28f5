"""What rendering costs, beside other ways of doing the same; see docs/render.md."""
