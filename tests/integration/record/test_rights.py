"""What a process may do to the record: every right on every table that there is, so that a new one asks."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from schema.errors import ConfigurationError
from schema.record.migrations import migrate
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.conftest import Sql
from tests.integration.record.conftest import execute, value

#: The work, which processes write.
WRITTEN = {
    "acknowledged_causes", "acknowledged_orders", "admission_stops", "announcements", "chore_runs", "control_log",
    "cursors", "holds", "messages", "refused_events", "stage_attempts", "standing_orders", "video_queue",
    "video_stages",
}  # fmt: skip
#: Views of the work: simple ones, through which Postgres would let it be written, as the tables below them.
VIEWS = {"pipeline_stage_times"}
#: What the owner writes, and the calls that are his.
READ = {"pipeline_costs", "schema_migrations"}

_RIGHTS = """
SELECT n.nspname || '.' || c.relname AS name, array_agg(r.name ORDER BY r.name) AS rights
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS r (name)
 WHERE n.nspname IN ('public', 'money') AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
   AND has_table_privilege(current_user, c.oid, r.name)
 GROUP BY 1"""


async def test_a_process_has_these_rights_on_each_table_and_no_others(postgres: Postgres) -> None:
    async def work(connection: object) -> dict[str, set[str]]:
        assert isinstance(connection, asyncpg.pool.PoolConnectionProxy)
        return {row["name"]: set(row["rights"]) for row in await connection.fetch(_RIGHTS)}

    rights = await postgres.run(work)
    all_rights = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    wanted = {f"public.{name}": all_rights for name in WRITTEN | VIEWS} | {
        f"public.{name}": {"SELECT"} for name in READ
    }
    assert {name: found for name, found in rights.items() if name.startswith("public.")} == wanted
    money = {name: found for name, found in rights.items() if name.startswith("money.")}
    assert len(money) > 8
    assert {name for name, found in money.items() if found != {"SELECT"}} == set()


#: A way to each thing that is the owner's.
REFUSED = (
    "DELETE FROM schema_migrations",
    "INSERT INTO schema_migrations VALUES (9999, 'mine', '')",
    "UPDATE money.days SET spent = 0",
    "UPDATE money.overruns SET reservation_id = NULL",
    "TRUNCATE video_queue",
    "ALTER TABLE video_queue DISABLE TRIGGER ALL",
    "CREATE TABLE mine ()",
    "CREATE FUNCTION now2() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "COPY video_queue TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT money.lock_counters(NULL, NULL, NULL)",
    "ALTER ROLE ytempire_app SUPERUSER",
)


async def test_a_process_is_refused_what_is_the_owners(postgres: Postgres) -> None:
    assert [statement for statement in REFUSED if not await _is_refused(postgres, statement)] == []


async def _is_refused(postgres: Postgres, statement: str) -> bool:
    try:
        await execute(postgres, statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


@pytest.fixture
def lesser_url(database_url: str, sql: Sql) -> Iterator[str]:
    """The same database for a user who can become nobody else: what DATABASE_URL may name on a server of one's own."""
    sql("CREATE ROLE only_works LOGIN IN ROLE ytempire_app")
    yield (
        urlsplit(database_url)._replace(netloc=f"only_works@{urlsplit(database_url).netloc.partition('@')[2]}").geturl()
    )
    sql("DROP ROLE only_works")


async def test_a_user_who_can_become_nobody_else_carries_a_process_once_the_owner_has_migrated(lesser_url: str) -> None:
    assert await migrate(lesser_url) == 0
    pool = Postgres(lesser_url, Servers(), process="test")
    await pool.open()
    try:
        assert await value(pool, "SELECT count(*) FROM video_queue") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(pool, "SET ROLE ytempire")
        await execute(pool, "RESET ROLE")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(pool, "RESET ROLE; UPDATE money.days SET spent = 0")
    finally:
        await pool.close()


async def test_a_user_who_may_not_migrate_is_told_who_can(database_url: str, lesser_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM schema_migrations WHERE number = 7")
    await owner.close()
    with pytest.raises(ConfigurationError, match="lacks migrations, which the user only_works may not apply") as got:
        await migrate(lesser_url)
    assert "YTEMPIRE_DATABASE_DIRECT_URL" in got.value.hint
