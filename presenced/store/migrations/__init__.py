"""The schema's history, one file a version; alembic reads it from the installed package."""
