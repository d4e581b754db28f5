"""Opens the store behind a URL, and tells in words why one that is elsewhere cannot be used at the moment.

What is wrong with a store is no fault of a file: a key that it refuses, a bucket that is not there, an endpoint that
does not answer are all waited out. It cannot tell an endpoint that is slow from one that is away: both have a limit.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem

from schema.errors import ArtifactError, ConfigurationError, StoreUnavailableError

#: Where a file shows under its name only when all its bytes are there, and a rename would be a copy and a removal.
_OBJECT_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "oci"})
_S3: Final = frozenset({"s3", "s3a"})
#: How long a store may take to be reached, and to say the next word; by then a slow line must have carried a piece.
_CONNECT_S, _READ_S = 5, 60
#: How often its client asks again by itself, and how many pieces of a file are on their way at once.
_TRIES, _AT_ONCE = 2, 4
#: A larger file is sent in pieces of this size; what is read of a stored one is read in pieces of that.
SENT_BYTES: Final = 8 << 20
READ_BYTES: Final = 4 << 20
#: Said of the file itself, or of this host, and not of the store.
_OF_THE_FILE: Final = (errno.EMSGSIZE, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to come to a store that is elsewhere, and what may be kept of it here."""

    #: Address of an S3-compatible store; empty: Amazon's.
    endpoint: str = ""
    region: str = ""
    #: Empty: what the client finds by itself, such as the role of the machine.
    key_id: str = ""
    secret: str = ""
    token: str = ""
    #: Folder for what was fetched; empty: one of this process's own, which goes with it.
    cache_dir: str = ""
    cache_bytes: int = 1 << 30

    def __repr__(self) -> str:
        """No key is shown."""
        return f"Access(endpoint={self.endpoint!r}, cache_dir={self.cache_dir!r})"


class Remote:
    """The file system of a URL, the path of its root there, and which kind of store it is."""

    def __init__(self, url: str, access: Access) -> None:
        """Raises ConfigurationError where the client for this kind of store is not installed."""
        protocol = url.partition("://")[0] if "://" in url else "file"
        self.is_s3 = protocol in _S3
        try:
            options = _s3_options(access) if self.is_s3 else {}
            self.fs, self.root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            extra = "the extra s3: .tools/bin/uv sync --inexact --extra s3" if self.is_s3 else "fsspec's client for it"
            raise ConfigurationError(
                f"a store at {protocol}:// needs a client that is not installed: {error}",
                hint=f"install {extra}; see docs/deploy.md, Files on a shared store",
            ) from error
        self.is_local = isinstance(self.fs, LocalFileSystem)
        self.is_object_store = protocol in _OBJECT_STORES
        if self.is_s3:
            self.fs.retries = _TRIES
        self._errors = _s3_errors() if self.is_s3 else (OSError,)

    @contextmanager
    def speaking(self, deed: str) -> Iterator[None]:
        """For whatever asks the store: its errors become ours, in words.

        Raises FileNotFoundError where it is the file that is missing, StoreUnavailableError where it is rather the
        store that cannot be used, and ArtifactError for what is left.
        """
        try:
            yield
        except FileNotFoundError as error:
            if self.is_local or not _is_of_the_bucket(error):
                raise
            raise self._no_bucket(deed) from error
        except self._errors as error:
            if self.is_local or getattr(error, "errno", None) in _OF_THE_FILE:
                raise ArtifactError(f"{deed}: {error}") from error
            raise StoreUnavailableError(f"{deed}: {_words(error)}", hint=_hint(error)) from error

    def reach(self) -> None:
        """Raise StoreUnavailableError where an S3 store cannot be used at the moment, or its bucket is not there."""
        if not self.is_s3:
            return
        deed = f"the store {self.root} cannot be used"
        with self.speaking(deed):
            try:
                self.fs.call_s3("head_bucket", Bucket=self._bucket)
            except FileNotFoundError as error:
                raise self._no_bucket(deed) from error

    @property
    def _bucket(self) -> str:
        return str(self.root).partition("/")[0]

    def _no_bucket(self, deed: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{deed}: there is no bucket {self._bucket!r}", hint="make it, or correct YTEMPIRE_ARTIFACTS_URL"
        )


def _s3_options(access: Access) -> dict[str, Any]:
    given = {"endpoint_url": access.endpoint, "key": access.key_id, "secret": access.secret, "token": access.token}
    return {
        **{name: text for name, text in given.items() if text},
        "client_kwargs": {"region_name": access.region} if access.region else {},
        "config_kwargs": {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"mode": "standard", "total_max_attempts": _TRIES},
        },
        "session": _s3_session(),
        "max_concurrency": _AT_ONCE,
        # other hosts write there, too: a list that was kept would be an old one
        "use_listings_cache": False,
    }


def _s3_session() -> Any:  # noqa: ANN401 - a class that may not be installed
    """One that sends at once what it has to send.

    Waiting for `100 Continue` before that has no end in aiohttp: a store that says nothing would hold us for ever.
    """
    from aiobotocore.session import AioSession  # noqa: PLC0415 - there only where the extra is
    from botocore.handlers import add_expect_header  # noqa: PLC0415 - likewise

    session = AioSession()
    session.unregister("before-call.s3", add_expect_header)
    return session


def _s3_errors() -> tuple[type[Exception], ...]:
    """What its client raises: not all of it is an OSError."""
    from aiohttp import ClientError  # noqa: PLC0415 - there only where the extra is
    from botocore import exceptions  # noqa: PLC0415 - likewise

    return OSError, exceptions.BotoCoreError, exceptions.ClientError, ClientError


def _code(error: Exception) -> str:
    """What S3 calls it; empty where it said nothing."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _is_of_the_bucket(error: Exception) -> bool:
    return _code(error) == "NoSuchBucket"


def _words(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"the store refuses us: {_code(error) or error}"
    return f"the store cannot be used: {error or type(error).__name__}"


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError) or "credentials" in type(error).__name__.lower():
        return "look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed"
    return "look at the store and at YTEMPIRE_ARTIFACTS_ENDPOINT; work goes on by itself when it answers"
