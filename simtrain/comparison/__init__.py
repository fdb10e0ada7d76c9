"""Encoders compared on the same queries: candidates, protocol, scores, verdicts, the report."""
