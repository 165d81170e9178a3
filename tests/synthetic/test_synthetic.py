"""The synthetic language: it follows its grammar, its floors are the loss of a perfect model, and seeds name texts."""

from itertools import islice

import numpy as np
import pytest

from growbench.synthetic import documents
from growbench.synthetic.floor import Reader, entropy, unknown
from growbench.synthetic.grammar import automaton
from growbench.synthetic.lexicon import LATENTS, SEP, classes, emissions, vocabulary
from growbench.synthetic.sentences import foreign, grammatical, other_number, redraw, sentences
from growbench.synthetic.text import draw

SEED = 3


@pytest.fixture(scope="module")
def drawn():
    return draw(SEED, np.random.default_rng(0), 400)


def test_arcs_and_emissions_are_distributions() -> None:
    net = automaton()
    assert np.allclose(np.bincount(net.source, weights=net.p), 1.0)
    assert np.allclose(emissions(SEED).sum(axis=2), 1.0)


def test_a_seed_names_a_text_and_streams_are_independent() -> None:
    first = list(islice(documents(SEED), 20))
    assert first == list(islice(documents(SEED), 20))
    assert first != list(islice(documents(SEED, stream=1), 20))
    assert first != list(islice(documents(SEED + 1), 20))


def test_the_reader_gives_every_drawn_document_a_probability_and_a_broken_one_none(drawn) -> None:
    reader = Reader(SEED)
    window = drawn.words[:120]
    _, scores = reader.forward(window)
    assert np.isfinite(scores).all() and len(scores) == 120
    words = vocabulary()
    broken = np.array([words.index(w) for w in [".", "the", "sailor", "steer", "the", "boat", "."]])
    assert reader.forward(broken)[1][-1] == -np.inf
    fixed = np.array([words.index(w) for w in [".", "the", "sailor", "steers", "the", "boat", "."]])
    assert np.isfinite(reader.forward(fixed)[1]).all()


def test_the_readers_causal_loss_is_below_any_other_predictors(drawn) -> None:
    """Compared with the unigram distribution of the same text."""
    rows = drawn.words[: 40 * 63].reshape(40, 63)
    reader = Reader(SEED)
    exact = -np.mean([reader.forward(row)[1] for row in rows])
    share = np.bincount(drawn.words, minlength=len(vocabulary())) / len(drawn.words)
    unigram = -np.mean(np.log(share[rows]))
    assert exact < 0.6 * unigram


def test_the_posterior_of_one_hidden_word_is_bayes_rule(drawn) -> None:
    """P(word | rest) from the reader equals the joint probabilities of all completions but [SEP], normalized."""
    window, place = drawn.words[:14].copy(), 6
    reader = Reader(SEED)
    (posterior,) = list(reader.posteriors(window, np.array([place])))
    joint = np.zeros(len(vocabulary()))
    for word in range(len(joint)):
        window[place] = word
        scores = reader.forward(window)[1]
        joint[word] = np.exp(np.sum(scores)) if np.isfinite(scores).all() else 0.0
    joint[vocabulary().index(SEP)] = 0.0
    assert np.allclose(posterior, joint / joint.sum(), atol=1e-9)


def test_the_loss_of_a_masked_token_is_between_certainty_and_ignorance() -> None:
    certain, even = np.eye(10)[0], np.full(10, 0.1)
    assert unknown(certain, 14) == pytest.approx(0.0, abs=1e-9)
    assert 0.8 * entropy(even) < unknown(even, 14) < entropy(even)


def test_verbs_agree_with_distant_subjects() -> None:
    near, far = "the sailor dives .", "the sailor that the captains near the boats like dives ."
    for text in (near, far):
        assert grammatical(tuple(text.split()))
        assert not grammatical(tuple(text.replace("dives", "dive").split()))


def test_a_document_has_one_topic(drawn) -> None:
    table, right = emissions(SEED), []
    ends = np.cumsum(drawn.lengths)
    for end, length, latent in zip(ends, drawn.lengths, drawn.latents, strict=True):
        part = slice(end - length, end)
        likelihood = np.log(table[drawn.classes[part], :, drawn.words[part]] + 1e-9).sum(axis=0)
        right.append(LATENTS[int(likelihood.argmax())].topic == LATENTS[latent].topic)
    assert np.mean(right) > 0.9


def test_sentences_are_complete_and_only_the_given_words_change() -> None:
    rng = np.random.default_rng(0)
    for sentence in islice(sentences(SEED, rng), 60):
        assert grammatical(sentence.words)
        assert all(name in classes() for name in sentence.classes)
        places = sentence.content()
        other = redraw(sentence, places, foreign(sentence.latent, rng), SEED, rng)
        assert grammatical(other.words)
        assert all((a != b) == (i in places) for i, (a, b) in enumerate(zip(sentence.words, other.words, strict=True)))


@pytest.mark.parametrize(("one", "many"), [("sailor", "sailors"), ("is", "are"), ("dives", "dive")])
def test_the_other_number_of_a_word(one: str, many: str) -> None:
    assert (other_number(one), other_number(many)) == (many, one)
