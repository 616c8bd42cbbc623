"""End-to-end tests: a file for each promise. How they are run: docs/testing.md."""
