"""Pages that open from disk: one of videos that are measured, one of models that are compared."""
