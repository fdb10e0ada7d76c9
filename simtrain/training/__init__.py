"""How parameters move: groups and schedule of the optimizer, what is frozen, what is saved and when."""
