"""At least one recipe for every rule, that breaks it."""

from tests.trainer.config.rule_cases.adapters import ADAPTER_CASES
from tests.trainer.config.rule_cases.case import TWO_GPUS, Case
from tests.trainer.config.rule_cases.data import DATA_CASES
from tests.trainer.config.rule_cases.loading import LOADING_CASES
from tests.trainer.config.rule_cases.method import METHOD_CASES
from tests.trainer.config.rule_cases.optimizers import OPTIMIZER_CASES
from tests.trainer.config.rule_cases.outputs import OUTPUT_CASES
from tests.trainer.config.rule_cases.reinforcement import REINFORCEMENT_CASES
from tests.trainer.config.rule_cases.training import TRAINING_CASES
from tests.trainer.config.rule_cases.vocabulary import VOCABULARY_CASES

CASES: tuple[Case, ...] = (
    *DATA_CASES,
    *LOADING_CASES,
    *METHOD_CASES,
    *ADAPTER_CASES,
    *OPTIMIZER_CASES,
    *VOCABULARY_CASES,
    *TRAINING_CASES,
    *REINFORCEMENT_CASES,
    *OUTPUT_CASES,
)

__all__ = ["CASES", "TWO_GPUS", "Case"]
