"""The factory over HTTP: the runbook's URLs, an intake for those who cannot XADD, the console, live."""
