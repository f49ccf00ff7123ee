"""How journals of earlier versions of Keel become today's: one Alembic revision for each change of the schema."""
