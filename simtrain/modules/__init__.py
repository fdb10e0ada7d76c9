"""LightningModules: they hold networks, ask a loss for a number, and log. One hook: `loss(batch)`."""
