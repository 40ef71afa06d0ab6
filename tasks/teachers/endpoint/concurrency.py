"""How many requests may be under way: what the endpoint takes, found by additive increase and multiplicative decrease.

As TCP does it (RFC 5681): double with every round trip until the endpoint first pushes back, then halve, and from there on add
one for every round trip without trouble. Requests that were sent before the last halving say nothing about the new limit.
"""

_START = 4


class Concurrency:
    """The limit on requests under way. All times are in seconds on one monotonic clock."""

    def __init__(self, most: int) -> None:
        """Start low.

        Args:
            most: The limit never goes above this.
        """
        self._most = most
        self._limit = float(min(_START, most))
        self._probing = True
        self._cut_at = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be under way now; at least one."""
        return int(self._limit)

    def rise_to(self, limit: int) -> None:
        """Allow so many at once, as far as the bound, unless the endpoint has pushed back before.

        Args:
            limit: Requests that shall be under way.
        """
        if self._probing:
            self._limit = max(self._limit, float(min(limit, self._most)))

    def succeeded(self, sent: float) -> None:
        """Note that a request was answered.

        Args:
            sent: When it was sent.
        """
        if sent > self._cut_at:
            self._limit = min(self._most, self._limit + (1.0 if self._probing else 1.0 / self._limit))

    def pushed_back(self, sent: float, now: float) -> None:
        """Note that the endpoint was too busy for a request; several of one round trip count once.

        Args:
            sent: When it was sent.
            now: When that became known.
        """
        if sent > self._cut_at:
            self._limit = max(1.0, self._limit / 2)
            self._probing = False
            self._cut_at = now
