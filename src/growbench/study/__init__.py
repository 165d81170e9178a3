"""What a study says: its sections, how a config file becomes one, and what it may not say."""
