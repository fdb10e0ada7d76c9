"""Builders from configuration to objects. The only package that knows both."""
