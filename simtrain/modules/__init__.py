"""LightningModules of the training objectives. One hook: `loss(batch)`."""
