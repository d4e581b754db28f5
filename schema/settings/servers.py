"""Where the servers are, how much of them one process may use, and how long a lease lasts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from schema.settings.masking import Masked

if TYPE_CHECKING:
    from schema.artifacts import Access

_GB = 1_000_000_000


class Servers(Masked, frozen=True, kw_only=True):
    """Addresses, ports, pools and leases; the names in the environment are the field names with the prefix."""

    redis_url: Annotated[str, Meta(description="Redis or Valkey; empty: ours, on the port below")] = ""
    database_url: Annotated[str, Meta(description="Postgres; empty: ours, on the port below")] = ""
    database_direct_url: Annotated[
        str, Meta(description="Postgres itself, for the migrations, where DATABASE_URL is a pgbouncer; empty: the same")
    ] = ""
    redis_port: Annotated[int, Meta(ge=1, le=65535, description="port of our Valkey")] = 6379
    postgres_port: Annotated[int, Meta(ge=1, le=65535, description="port of our Postgres")] = 5432
    gateway_port: Annotated[int, Meta(ge=1, le=65535, description="port of the HTTP gateway")] = 8000
    gateway_host: Annotated[str, Meta(description="address the gateway listens on; beyond 127.0.0.1 set a token")] = (
        "127.0.0.1"
    )
    gateway_hosts: Annotated[
        str, Meta(description="further names that the gateway is called by, by commas; a request by another is refused")
    ] = ""
    gateway_token: Annotated[
        str, Meta(description="what whoever is not on this machine must send; empty: they are refused")
    ] = ""
    prometheus_port: Annotated[int, Meta(ge=1, le=65535, description="where Prometheus is looked for")] = 9090
    grafana_port: Annotated[int, Meta(ge=1, le=65535, description="where Grafana is looked for")] = 3000
    n8n_port: Annotated[int, Meta(ge=1, le=65535, description="where n8n is looked for")] = 5678
    metrics_port: Annotated[
        int, Meta(ge=1, le=65535, description="exporter of the Procfile's first process; the next line is one higher")
    ] = 9101
    metrics_host: Annotated[str, Meta(description="address the exporters listen on")] = "127.0.0.1"
    metrics_hosts: Annotated[
        str, Meta(description="where exporters on other hosts are asked, {} being the process's name; empty: here")
    ] = ""
    db_pool_min: Annotated[int, Meta(ge=1, description="Postgres connections a process keeps")] = 1
    db_pool_max: Annotated[int, Meta(ge=1, description="Postgres connections a process may open")] = 4
    actors: Annotated[
        str, Meta(description="lines of the Procfile that this host runs, by commas; empty: all of them")
    ] = ""
    data_dir: Annotated[str, Meta(description="everything that is kept: servers, artifacts, films, logs")] = "data"
    artifacts_url: Annotated[
        str, Meta(description="where files are stored (fsspec URL); empty: the data directory")
    ] = ""
    artifacts_endpoint: Annotated[
        str, Meta(description="address of an S3-compatible store that is not Amazon's, for s3:// in the line above")
    ] = ""
    artifacts_region: Annotated[str, Meta(description="region of the S3 store; empty: what its client finds")] = ""
    aws_access_key_id: Annotated[
        str, Meta(description="who we are for the S3 store; empty: what its client finds, such as the machine's role")
    ] = ""
    aws_secret_access_key: Annotated[str, Meta(description="the secret that goes with it")] = ""
    aws_session_token: Annotated[str, Meta(description="and its token, where it is a passing one")] = ""
    artifacts_cache_dir: Annotated[
        str, Meta(description="folder on this host for files of a store elsewhere; empty: cache in the data directory")
    ] = ""
    artifacts_cache_gb: Annotated[
        float, Meta(ge=0, description="GB that this cache takes, beyond what is in use at once")
    ] = 20.0
    backups_dir: Annotated[
        str, Meta(description="where backups are kept, best on another disk; empty: backups in the data directory")
    ] = ""
    wal_archive: Annotated[
        bool, Meta(description="whether our Postgres archives its log, so that any moment can be restored")
    ] = True
    backup_films: Annotated[
        bool, Meta(description="whether backups keep finished films, too, and not only what unfinished videos need")
    ] = True
    keep_work_days: Annotated[
        float, Meta(ge=0, description="days that `clean` keeps the working files of completed videos, and logs")
    ] = 7.0
    keep_failed_days: Annotated[
        float, Meta(ge=0, description="days that `clean` keeps what failed and cancelled videos left, for a retry")
    ] = 30.0
    lease_s: Annotated[
        float, Meta(ge=0.2, description="seconds after which a silent worker's work is looked at again")
    ] = 4.0
    block_s: Annotated[float, Meta(gt=0, description="seconds one blocking read waits")] = 2.0
    guardian_tick_s: Annotated[float, Meta(gt=0, description="seconds between two looks of a guardian")] = 2.0
    retention_days: Annotated[float, Meta(gt=0, description="days that streams and receipts are kept at least")] = 7.0

    @property
    def redis_address(self) -> str:
        """The Redis to use: the one that was named, else ours."""
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def database_address(self) -> str:
        """The Postgres to use: the one that was named, else ours."""
        return self.database_url or f"postgresql://ytempire@127.0.0.1:{self.postgres_port}/ytempire"

    @property
    def backups_folder(self) -> Path:
        """Where backups are kept, absolute."""
        return Path(self.backups_dir or Path(self.data_dir) / "backups").absolute()

    @property
    def artifacts_address(self) -> str:
        """Where files are stored: the URL that was named, else the data directory."""
        return self.artifacts_url or self.data_dir

    @property
    def artifacts_cache_folder(self) -> Path:
        """Where files of a store elsewhere are kept on this host, absolute."""
        return Path(self.artifacts_cache_dir or Path(self.data_dir) / "cache").absolute()

    @property
    def artifacts_cache_bytes(self) -> int:
        """How much of this disk they may take."""
        return int(self.artifacts_cache_gb * _GB)

    @property
    def artifacts_access(self) -> Access:
        """How to come to the store, where it is elsewhere."""
        from schema.artifacts import Access  # noqa: PLC0415 - what opens stores takes long to load

        return Access(
            endpoint=self.artifacts_endpoint,
            region=self.artifacts_region,
            key_id=self.aws_access_key_id,
            secret=self.aws_secret_access_key,
            token=self.aws_session_token,
            cache_dir=str(self.artifacts_cache_folder),
            cache_bytes=self.artifacts_cache_bytes,
        )
