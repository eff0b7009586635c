"""The settings of every command: names, defaults, ranges and help, and where their values come from."""
