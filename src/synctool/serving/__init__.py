"""Videos measured as they come: a watched folder, and a service with an API and a page."""
