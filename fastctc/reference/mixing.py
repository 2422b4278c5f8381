"""One back-off model that is the linear interpolation of several.

F. Jelinek, R. L. Mercer: Interpolated Estimation of Markov Source Parameters from Sparse Data, 1980; made one back-off
model as A. Stolcke describes it (SRILM, An Extensible Language Modeling Toolkit, 2002). Models are tables as in
:mod:`fastctc.reference.pruning`. The fast twin, fastctc.lm.mixing, does all n-grams of a length at once.
"""

from collections.abc import Mapping, Sequence

from fastctc.reference.pruning import NGram, fitted_weights, prob

Model = tuple[Mapping[NGram, float], Mapping[NGram, float]]


def mix(models: Sequence[Model], shares: Sequence[float]) -> tuple[dict[NGram, float], dict[NGram, float]]:
    """Every n-gram that any model has, with the weighted mean of what the models say of it.

    Of what only the models' back-off weights know, the weights of the mixture are made anew: there it is no mean.
    """
    ngrams = {ngram for probs, _ in models for ngram in probs}
    mixed = {
        ngram: sum(share * prob(*model, ngram[:-1], ngram[-1]) for model, share in zip(models, shares, strict=True))
        for ngram in ngrams
    }
    return mixed, fitted_weights(mixed)
