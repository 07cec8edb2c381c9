"""Alembic's environment for every service: it works on the connection that `migrate` hands it."""

from alembic import context

from service_kit.database.tables import service_metadata

context.configure(
    connection=context.config.attributes["connection"],
    # Gives `op.create_table` our names of constraints.
    target_metadata=service_metadata(),
)
with context.begin_transaction():
    context.run_migrations()
