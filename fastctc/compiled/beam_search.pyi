from typing import Any

from typing_extensions import disjoint_base

from fastctc.search_inputs import CharacterModel, LexiconModel, Thresholds

@disjoint_base
class Beams:
    def __new__(
        cls,
        n_classes: int,
        blank: int,
        character_model: CharacterModel | None = None,
        lexicon_model: LexiconModel | None = None,
        thresholds: Thresholds | None = None,
    ) -> Beams: ...
    def extend(self, probs: Any, beam_width: int) -> None: ...
    def dropped(self) -> float: ...
    def best(self, n_best: int) -> list[tuple[tuple[int, ...], float]]: ...

def prefix_beam_search(probs: Any, blank: int, beam_width: int, n_best: int) -> list[tuple[tuple[int, ...], float]]: ...
def word_beam_search(
    probs: Any, blank: int, beam_width: int, n_best: int, lexicon_model: LexiconModel
) -> list[tuple[tuple[int, ...], float]]: ...
def beam_search(
    probs: Any,
    blank: int,
    beam_width: int,
    n_best: int,
    character_model: CharacterModel | None = None,
    lexicon_model: LexiconModel | None = None,
    thresholds: Thresholds | None = None,
) -> list[tuple[tuple[int, ...], float]]: ...
def beam_search_batch(
    batch: Any,
    blank: int,
    beam_width: int,
    n_best: int,
    character_model: CharacterModel | None = None,
    lexicon_model: LexiconModel | None = None,
    thresholds: Thresholds | None = None,
    dropped: list[float] | None = None,
) -> list[list[tuple[tuple[int, ...], float]]]: ...
