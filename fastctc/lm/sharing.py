"""What was made of a language model once, for all decoders that have the model."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Owner = TypeVar("Owner")
Key = TypeVar("Key")
Made = TypeVar("Made")


class Shared(Generic[Owner, Key, Made]):
    """Things made from an owner and a key, kept as long as both live.

    A thing must not hold its owner. One that holds its key lives as long as the owner does.
    """

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Owner, WeakKeyDictionary[Key, Made]] = WeakKeyDictionary()
        self._lock = Lock()

    def get(self, owner: Owner, key: Key, make: Callable[[], Made]) -> Made:
        """The thing of an owner and a key, made if it is not there yet.

        Two threads that ask at once get the same one.
        """
        with self._lock:
            found = self._made.get(owner)
            if found is not None and key in found:
                return found[key]
        made = make()
        with self._lock:
            return self._made.setdefault(owner, WeakKeyDictionary()).setdefault(key, made)
