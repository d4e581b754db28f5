-- What processes may do, said again where it was said too widely. Needs the first file.

-- The first file's GRANT ON ALL TABLES took in the list of migrations, which was there before it: whoever can write there
-- can have a migration left out, or a database refused. Processes read it, and so find out that nothing is missing.
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM ytempire_app;

-- Nobody but the owner makes anything in the schema that every name is looked up in: a database that came from a Postgres
-- before 15 still lets everybody.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
