"""Commands. Nothing imports them but each other and the tests."""
