"""Benches: this project beside its peers and beside the limit, in one run; `./ytempire bench NAME`."""
