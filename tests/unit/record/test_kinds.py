"""Every migration is of the kind that it says, as far as that can be read from its SQL."""

from __future__ import annotations

import pytest

from schema.errors import ConfigurationError
from schema.record.kinds import stumbling
from schema.record.migrations import Migration, migrations


@pytest.mark.parametrize("migration", migrations(), ids=lambda migration: migration.name)
def test_a_migration_that_says_expand_has_nothing_that_older_code_stumbles_over(migration: Migration) -> None:
    if migration.kind == "expand":
        assert stumbling(migration.sql) == ()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE v ADD COLUMN mood text;",
        "alter table v add mood text not null default 'calm, or; not' check (mood <> ''), ADD COLUMN b numeric(1, 2);",
        "CREATE TABLE a (x int); CREATE UNIQUE INDEX a_x ON a (x);",
        "CREATE TABLE a (x int); INSERT INTO a VALUES (1); ALTER TABLE a ADD CHECK (x > 0); -- DROP TABLE v;",
        "CREATE INDEX idx ON v (mood) WHERE mood <> ''; GRANT SELECT ON v TO ytempire_app; /* DROP TABLE v; */",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ DROP; $x$; REVOKE EXECUTE ON FUNCTION f FROM PUBLIC;",
    ],
)
def test_what_only_adds_can_be_lived_with(sql: str) -> None:
    assert stumbling(sql) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE v",
        "ALTER TABLE v DROP COLUMN mood",
        "ALTER TABLE v ADD COLUMN a text, DROP COLUMN mood",
        "ALTER TABLE v RENAME COLUMN mood TO temper",
        "ALTER TABLE v ALTER COLUMN mood SET NOT NULL",
        "ALTER TABLE v ADD COLUMN mood text NOT NULL",
        "ALTER TABLE v ADD COLUMN mood text UNIQUE",
        "ALTER TABLE v ADD CONSTRAINT calm CHECK (mood = '')",
        "ALTER TABLE v ADD CHECK (mood = '')",
        "CREATE UNIQUE INDEX once ON v (mood)",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS ''",
        "CREATE TRIGGER t BEFORE INSERT ON v EXECUTE FUNCTION f()",
        "REVOKE INSERT ON v FROM ytempire_app",
        "UPDATE v SET mood = ''",
        "DO ''",
    ],
)
def test_what_drops_renames_tightens_or_is_not_known_is_told(statement: str) -> None:
    assert stumbling(f"CREATE TABLE a (x int); {statement}") == (statement,)


def test_a_file_that_does_not_say_its_kind_is_refused_with_a_line_to_begin_it_with() -> None:
    with pytest.raises(ConfigurationError, match=r"migration 9 \(mood\) does not say") as got:
        _ = Migration(9, "mood", "-- Moods.\nALTER TABLE v ADD mood text;").kind
    assert "-- expand: why" in got.value.hint
    assert Migration(9, "mood", "-- contract: moods go\nALTER TABLE v DROP mood;").kind == "contract"
