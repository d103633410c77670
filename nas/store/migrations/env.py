"""Alembic's entry point; `nas.store.schema` hands it an open connection in a transaction."""

from __future__ import annotations

from alembic import context

from nas.store.models import metadata
from nas.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
