from typing import Any, final

from fastctc.search_inputs import CharacterModel, LexiconModel

@final
class Beams:
    def __new__(
        cls, n_classes: int, blank: int, model: CharacterModel | None = None, words: LexiconModel | None = None
    ) -> Beams: ...
    def extend(self, probs: Any, beam_width: int) -> None: ...
    def best(self, n_best: int) -> list[tuple[tuple[int, ...], float]]: ...
    def prefixes(self) -> list[tuple[tuple[int, ...], bool, bool]]: ...
    def stable(self, limit: int) -> tuple[int, ...]: ...
    def commit(self, n_labels: int) -> None: ...

def beam_search(
    probs: Any,
    blank: int,
    beam_width: int,
    n_best: int,
    model: CharacterModel | None = None,
    words: LexiconModel | None = None,
) -> list[tuple[tuple[int, ...], float]]: ...
def beam_search_batch(
    batch: Any,
    blank: int,
    beam_width: int,
    n_best: int,
    model: CharacterModel | None = None,
    words: LexiconModel | None = None,
) -> list[list[tuple[tuple[int, ...], float]]]: ...
