"""Everything before the first tensor: sources, verification, splits, the table. No torch here."""
