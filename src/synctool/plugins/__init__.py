"""Plugins: hooks, checks, loading, registries, and a template for new ones."""
