"""One at a time on one device; the others wait in the order in which they came, and know their place."""

import threading


class Turns:
    def __init__(self):
        self.line = []  # who works, and behind them who waits
        self.changed = threading.Condition()

    def join(self, who):
        with self.changed:
            self.line.append(who)

    def leave(self, who):
        with self.changed:
            if who in self.line:
                self.line.remove(who)
            self.changed.notify_all()

    def before(self, who, seconds):
        """How many are before `who`, 0 = it is their turn; waits up to so many seconds for a change."""
        with self.changed:
            if self.line.index(who):
                self.changed.wait(seconds)
            return self.line.index(who)
