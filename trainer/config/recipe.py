"""The recipe: all tables together. Files are read in `presets`; what depends on others is filled in by `resolve`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trainer.config.passthrough import trainer_argument_problem
from trainer.config.tables.adapters import FreezeTable, LoraTable, OftTable
from trainer.config.tables.data import DataTable
from trainer.config.tables.generation import EvaluationTable, GenerationTable
from trainer.config.tables.inputs_outputs import ExportTable, InferenceTable, MultimodalTable, QuantizationTable
from trainer.config.tables.machinery import Fp8Table, ProfilerTable, RayTable, SwanlabTable
from trainer.config.tables.method import MethodTable
from trainer.config.tables.model import ModelTable
from trainer.config.tables.optimizers import ApolloTable, BadamTable, GaloreTable
from trainer.config.tables.preference import PreferenceTable
from trainer.config.tables.reinforcement import GrpoTable, PpoTable, RewardTable
from trainer.config.tables.train import TrainTable


class Recipe(BaseModel):
    """Everything that makes a run. Immutable; `with_values` gives a changed and checked copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelTable = ModelTable.model_construct()
    quantization: QuantizationTable = QuantizationTable.model_construct()
    multimodal: MultimodalTable = MultimodalTable.model_construct()
    export: ExportTable = ExportTable.model_construct()
    inference: InferenceTable = InferenceTable.model_construct()
    data: DataTable = DataTable.model_construct()
    freeze: FreezeTable = FreezeTable.model_construct()
    lora: LoraTable = LoraTable.model_construct()
    oft: OftTable = OftTable.model_construct()
    preference: PreferenceTable = PreferenceTable.model_construct()
    ppo: PpoTable = PpoTable.model_construct()
    grpo: GrpoTable = GrpoTable.model_construct()
    reward: RewardTable = RewardTable.model_construct()
    galore: GaloreTable = GaloreTable.model_construct()
    apollo: ApolloTable = ApolloTable.model_construct()
    badam: BadamTable = BadamTable.model_construct()
    swanlab: SwanlabTable = SwanlabTable.model_construct()
    method: MethodTable = MethodTable.model_construct()
    ray: RayTable = RayTable.model_construct()
    profiler: ProfilerTable = ProfilerTable.model_construct()
    fp8: Fp8Table = Fp8Table.model_construct()
    generation: GenerationTable = GenerationTable.model_construct()
    evaluation: EvaluationTable = EvaluationTable.model_construct()
    train: TrainTable = TrainTable.model_construct()
    trainer: dict[str, Any] = Field(default_factory=dict)
    """More fields of transformers' TrainingArguments, passed through as they are."""

    @field_validator("trainer")
    @classmethod
    def _only_known_arguments(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if problem := trainer_argument_problem(name):
                raise ValueError(problem)
        return values

    def value(self, key: str) -> object:
        """The value under a dotted key: `recipe.value("lora.lora_rank")`. Raises KeyError for unknown ones."""
        table, _, name = key.partition(".")
        if table == "trainer":
            return self.trainer[name]
        if table not in type(self).model_fields or name not in type(getattr(self, table)).model_fields:
            raise KeyError(key)
        return getattr(getattr(self, table), name)

    def tables(self) -> dict[str, dict[str, Any]]:
        """All values by table and name, as they go into a TOML file: what is unset (None) is left out."""
        dumped: dict[str, dict[str, Any]] = self.model_dump(exclude_none=True)
        return dumped

    def with_values(self, changes: Mapping[str, object]) -> "Recipe":
        """A copy with these dotted keys set (None unsets), checked as a whole.

        Raises:
            pydantic.ValidationError: a value does not fit its field.
        """
        tables: dict[str, dict[str, Any]] = self.model_dump()
        for key, value in changes.items():
            table, _, name = key.partition(".")
            if value is None:
                tables[table].pop(name, None)
            else:
                tables[table][name] = value
        return type(self).model_validate(tables)
