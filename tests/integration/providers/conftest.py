"""Leaves out what needs a program that is not here."""

from __future__ import annotations

import os

#: Runs against a program that is no package of ours, where one is named.
collect_ignore = [] if os.environ.get("AIMOCK") else ["test_peer.py"]
