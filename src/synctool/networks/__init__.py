"""Models by name or file: listing, options, building, loading, cost."""
