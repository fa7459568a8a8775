"""What may be configured: shapes, checks, refusals, overrides."""
