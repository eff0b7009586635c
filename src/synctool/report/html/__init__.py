"""Pages that open from disk: one of films that were measured, one of networks that were compared."""
