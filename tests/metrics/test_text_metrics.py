"""BLEU and chrF++ are sacrebleu's own, ROUGE is rouge-score's, over several references and with a signature."""

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, corpus_chrf, sentence_chrf

from tasks.metrics import CORPUS_METRICS
from tasks.metrics.chrf import chrf
from tasks.metrics.rouge import rouge

SAID = ["The still is hot, and the spirit runs clear.", "It condenses in the worm.", "Nothing at all."]
WANTED = [["The still is hot and the spirit is clear."], ["It condenses in the worm.", "The worm condenses it."], ["All of it."]]
COLUMNS = [[WANTED[0][0], WANTED[1][0], WANTED[2][0]], [None, WANTED[1][1], None]]


def test_a_set_of_answers_scores_as_sacrebleu_scores_it() -> None:
    assert CORPUS_METRICS["bleu"](SAID, WANTED) == pytest.approx(corpus_bleu(SAID, COLUMNS).score / 100)
    assert CORPUS_METRICS["corpus_chrf"](SAID, WANTED) == pytest.approx(corpus_chrf(SAID, COLUMNS, word_order=2).score / 100)


def test_a_draw_of_answers_scores_by_its_sums() -> None:
    metric, picks = CORPUS_METRICS["bleu"], [0, 0, 2]
    again = metric([SAID[item] for item in picks], [WANTED[item] for item in picks])
    assert metric.score(metric.statistics(SAID, WANTED)[picks].sum(axis=0, keepdims=True))[0] == pytest.approx(again)


def test_an_invalid_answer_counts_as_an_empty_one() -> None:
    assert CORPUS_METRICS["bleu"]([None, *SAID[1:]], WANTED) == CORPUS_METRICS["bleu"](["", *SAID[1:]], WANTED)


@pytest.mark.parametrize(("references", "count"), [(WANTED, "nrefs:var"), (WANTED[1:2], "nrefs:2"), (WANTED[:1], "nrefs:1")])
def test_the_signature_says_how_it_was_computed(references: list[list[str]], count: str) -> None:
    bleu, chrf_plus_plus = (CORPUS_METRICS[name].signature for name in ("bleu", "corpus_chrf"))
    assert bleu is not None and chrf_plus_plus is not None
    assert bleu(references).startswith(f"{count}|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert chrf_plus_plus(references).startswith(f"{count}|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


def test_one_answer_is_as_good_as_against_its_closest_reference() -> None:
    closest = sentence_chrf(SAID[0], WANTED[0], word_order=2).score / 100
    assert chrf(SAID[0], [*WANTED[0], "Something else."]) == pytest.approx(closest)
    assert chrf(SAID[1], WANTED[1]) == 1


def test_rouge_is_that_of_the_package_with_a_sentence_a_line() -> None:
    said, wanted = "It is hot. It runs clear!", "It runs clear! It was hot."
    found = rouge(said, [wanted])
    scorer = RougeScorer(["rouge1", "rouge2", "rougeLsum"], use_stemmer=True)
    expected = scorer.score("It runs clear!\nIt was hot.", "It is hot.\nIt runs clear!")

    assert found == {name: pytest.approx(score.fmeasure) for name, score in expected.items()}
    assert found["rougeLsum"] > RougeScorer(["rougeL"], use_stemmer=True).score(wanted, said)["rougeL"].fmeasure


def test_of_several_summaries_the_closest_by_rouge_lsum_decides_all_three() -> None:
    near, far = "The still was heated.", "Copper."
    assert rouge("A still was heated.", [far, near]) == rouge("A still was heated.", [near])


@pytest.mark.parametrize(
    ("said", "wanted", "other"),
    [
        ("今天天气很好。我们去公园。", "今天天气很好。我们去散步。", "股票下跌了百分之三。"),
        ("Сегодня очень жарко.", "Сегодня жарко.", "Акции упали на три процента."),
        ("आज बहुत गर्मी है", "आज गर्मी है", "शेयर गिर गए"),
    ],
)
def test_rouge_tells_summaries_apart_in_any_script(said: str, wanted: str, other: str) -> None:
    assert rouge(wanted, [wanted]) == {"rouge1": 1, "rouge2": 1, "rougeLsum": 1}
    assert rouge(said, [wanted])["rougeLsum"] > 0.7 > 0.2 > rouge(other, [wanted])["rougeLsum"]
