"""Our own measurements."""
