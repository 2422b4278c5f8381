"""The language models that come with the package: of characters, one for each language."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from fastctc.lm.ngram import NGram

LANGUAGES = ("en", "fr")
ALL = "auto"


def shipped_language_model(language: str) -> Path:
    """The file of a language's model."""
    return Path(str(files("fastctc.htr").joinpath("language_models", f"{language}.fastctc")))


def languages_of(tags: str) -> dict[str, str]:
    """The language of each of some tags, for which there must be a model: of "fr-CA", of "en+fr", or all for "auto".

    Raises
    ------
    ValueError
        For a tag of another language.
    """
    if tags == ALL:
        return {language: language for language in LANGUAGES}
    for tag in tags.split("+"):
        if not has_model(tag):
            raise ValueError(
                f"language must be one with a model, {' or '.join(LANGUAGES)}, or several with + between them, or "
                f"{ALL}, got {tag!r}"
            )
    return {tag: tag.split("-")[0].lower() for tag in tags.split("+")}


def has_model(tag: str) -> bool:
    """Whether there is a model for the language of a tag."""
    return tag.split("-")[0].lower() in LANGUAGES


def is_choice(tags: str) -> bool:
    """Whether some tags are several, among which the reader chooses."""
    return tags == ALL or "+" in tags


@cache
def language_model(language: str) -> NGram:
    """The model of a language, loaded once."""
    return NGram.load(shipped_language_model(language))
