"""From a realistic portrait to the finished picture: face parsing, soft mask, compositing."""
