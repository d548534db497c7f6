"""The table of all cases. What belongs together stands in a list of its own; all lists are put together here."""

from tests.methods.adapter_cases import ADAPTER_CASES
from tests.methods.case import MethodCase
from tests.methods.loading_cases import LOADING_CASES
from tests.methods.optimizer_cases import OPTIMIZER_CASES
from tests.methods.token_cases import TOKEN_CASES
from tests.methods.weight_cases import WEIGHT_CASES

CASES: tuple[MethodCase, ...] = (
    *WEIGHT_CASES,
    *ADAPTER_CASES,
    *LOADING_CASES,
    *OPTIMIZER_CASES,
    *TOKEN_CASES,
)
