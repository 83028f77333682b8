"""Who has which case open now, so that two people on one case are told."""

import threading
import time

from review.store.audit import now

FORGOTTEN_S = 30.0


class Presence:
    """Users by case; kept in memory, as it is of no use after a restart.

    Args:
        clock: seconds that only rise; for tests.
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, dict[str, tuple[str, float]]] = {}

    def enter(self, case: str, user: str) -> bool:
        """Note that a user has a case open; returns whether that is new."""
        with self._lock:
            users = self._seen.setdefault(case, {})
            self._forget(users)
            since = users[user][0] if user in users else now()
            new = user not in users
            users[user] = since, self._clock()
            return new

    def leave(self, case: str, user: str) -> None:
        """Note that a user closed a case."""
        with self._lock:
            self._seen.get(case, {}).pop(user, None)

    def others(self, case: str, user: str | None = None) -> dict[str, str]:
        """The other users of a case, and since when."""
        with self._lock:
            users = self._seen.get(case, {})
            self._forget(users)
            return {name: since for name, (since, _) in users.items() if name != user}

    def _forget(self, users):
        limit = self._clock() - FORGOTTEN_S
        for name in [name for name, (_, last) in users.items() if last < limit]:
            del users[name]
