"""The rules that bind parameters to each other: small pure functions, grouped by subject. Texts are in `messages`."""

from trainer.config.rules.adapters import ADAPTER_RULES
from trainer.config.rules.availability import AVAILABILITY_RULES
from trainer.config.rules.base import Rule
from trainer.config.rules.data import DATA_RULES
from trainer.config.rules.loading import LOADING_RULES
from trainer.config.rules.messages import MESSAGES
from trainer.config.rules.method import METHOD_RULES
from trainer.config.rules.optimizers import OPTIMIZER_RULES
from trainer.config.rules.outputs import OUTPUT_RULES
from trainer.config.rules.reinforcement import REINFORCEMENT_RULES
from trainer.config.rules.stages import STAGE_RULES
from trainer.config.rules.training import TRAINING_RULES
from trainer.config.rules.vocabulary import VOCABULARY_RULES

RULES: tuple[Rule, ...] = (
    *DATA_RULES,
    *LOADING_RULES,
    *METHOD_RULES,
    *OPTIMIZER_RULES,
    *VOCABULARY_RULES,
    *ADAPTER_RULES,
    *STAGE_RULES,
    *REINFORCEMENT_RULES,
    *TRAINING_RULES,
    *OUTPUT_RULES,
    *AVAILABILITY_RULES,
)

__all__ = ["MESSAGES", "RULES", "Rule"]
