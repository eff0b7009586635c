"""One module per job; each joins the rooms below and knows nothing of the command line."""
