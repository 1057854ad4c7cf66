"""Setting ends up: their homes, keys and first configuration."""
