"""A pgvigil cluster of containers on this machine, for the demo and the integration tests."""
