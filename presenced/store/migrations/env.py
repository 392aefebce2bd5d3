"""Alembic's entry: runs the versions that are missing on the connection that `store.migrate` hands over.

The connection is in a transaction already, so that all missing versions and alembic's own note of them
come into being together, or, with kill -9 in between, not at all.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
