"""A few of many, the same few every time: for sheets, tables and short studies."""


def evenly(items, count=None):
    """`count` of a list's items, evenly spread from the first to the last; None, or more than there are = all."""
    last = len(items) - 1
    if count is None or count > last:
        return list(items)
    return [items[round(i * last / max(count - 1, 1))] for i in range(count)]
