"""The bundle that a run is exported to, and search in it."""
