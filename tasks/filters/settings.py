"""The settings of all filters, one section a filter, in the order in which they look at the rows."""

from tasks.core.section import Section
from tasks.filters.balance import BalanceSettings
from tasks.filters.best_n import BestNSettings
from tasks.filters.confidence import ConfidenceSettings
from tasks.filters.decontamination import DecontaminationSettings
from tasks.filters.diversity import DiversitySettings
from tasks.filters.empty import EmptySettings
from tasks.filters.exact_duplicate import ExactDuplicateSettings
from tasks.filters.finish_reason import FinishReasonSettings
from tasks.filters.gold_agreement import GoldAgreementSettings
from tasks.filters.judge import JudgeFilterSettings
from tasks.filters.language import LanguageSettings
from tasks.filters.length import LengthSettings
from tasks.filters.near_duplicate import NearDuplicateSettings
from tasks.filters.pii import PiiSettings
from tasks.filters.refusal import RefusalSettings
from tasks.filters.repetition import RepetitionSettings
from tasks.filters.self_consistency import SelfConsistencySettings
from tasks.filters.semantic_duplicate import SemanticDuplicateSettings
from tasks.filters.validity import ValiditySettings


class FiltersSettings(Section):
    """What each filter does with what it finds, and its limits."""

    finish_reason: FinishReasonSettings = FinishReasonSettings()
    """Answers that were cut off."""

    empty: EmptySettings = EmptySettings()
    """Answers that say nothing."""

    confidence: ConfidenceSettings = ConfidenceSettings()
    """Answers that the teacher was not sure of."""

    validity: ValiditySettings = ValiditySettings()
    """Answers that are not of the task's kind."""

    gold_agreement: GoldAgreementSettings = GoldAgreementSettings()
    """Answers that differ from a known reference."""

    refusal: RefusalSettings = RefusalSettings()
    """Answers that refuse or introduce themselves as a model."""

    repetition: RepetitionSettings = RepetitionSettings()
    """Answers that go round in circles."""

    language: LanguageSettings = LanguageSettings()
    """Answers in another language."""

    pii: PiiSettings = PiiSettings()
    """Personal data and secrets."""

    judge: JudgeFilterSettings = JudgeFilterSettings()
    """Answers that a judge scored low."""

    length: LengthSettings = LengthSettings()
    """Rows that do not fit the student."""

    decontamination: DecontaminationSettings = DecontaminationSettings()
    """Rows that repeat what models are tested on."""

    self_consistency: SelfConsistencySettings = SelfConsistencySettings()
    """Answers that other samples contradict."""

    exact_duplicate: ExactDuplicateSettings = ExactDuplicateSettings()
    """Rows that are there twice."""

    near_duplicate: NearDuplicateSettings = NearDuplicateSettings()
    """Rows that say nearly the same as another."""

    semantic_duplicate: SemanticDuplicateSettings = SemanticDuplicateSettings()
    """Rows that mean nearly the same as another."""

    best_n: BestNSettings = BestNSettings()
    """All but the best answers to each prompt."""

    diversity: DiversitySettings = DiversitySettings()
    """More rows than are wanted, those too alike first."""

    balance: BalanceSettings = BalanceSettings()
    """More rows of one kind than are wanted."""
