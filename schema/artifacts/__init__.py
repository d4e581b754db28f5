"""Files that outlive a process: in a folder, or in a store that several hosts share, with a cache on each of them."""

from schema.artifacts.cache import Cache
from schema.artifacts.remote import Access
from schema.artifacts.store import Artifacts

__all__ = ["Access", "Artifacts", "Cache"]
