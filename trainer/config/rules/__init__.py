"""The rules that bind parameters to each other: small pure functions, grouped by subject. Texts are in `messages`."""

from trainer.config.rules.availability import AVAILABILITY_RULES
from trainer.config.rules.base import Rule

RULES: tuple[Rule, ...] = (*AVAILABILITY_RULES,)
