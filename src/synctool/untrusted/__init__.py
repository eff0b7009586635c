"""The one layer that everything that comes from a file goes through before it is believed."""
