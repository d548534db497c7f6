"""`[ppo]`, `[grpo]` and `[reward]`: learning from the rewards of own answers. How they are drawn: `[generation]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.config.form import IN_ANSWERING, IN_GROUPS, IN_PPO, Condition, Form
from trainer.config.tables.base import NumberList, Table, TextList

RewardFunction = Literal["exact", "contains", "regex", "format", "length", "python"]
REWARD_FUNCTIONS: tuple[RewardFunction, ...] = ("exact", "contains", "regex", "format", "length", "python")


class PpoTable(Table):
    """PPO, and the reward model of all stages that learn from rewards."""

    applies_when: ClassVar[tuple[Condition, ...]] = (IN_ANSWERING,)

    reward_model: Annotated[str | None, Form("basic")] = None
    """The model that gives answers their reward: a folder, a checkpoint of stage rm, or the address of a service."""

    reward_model_type: Annotated[Literal["lora", "full", "api"], Form("basic")] = "lora"
    """What `reward_model` is: an adapter on the same base (`lora`), a model of its own (`full`), or a service (`api`)
    that is sent `{"model": ..., "messages": [texts]}` and answers `{"scores": [numbers]}`."""

    reward_model_adapters: Annotated[TextList, Form("expert")] = []
    """Adapters of the reward model: all but the last are merged into it, the last brings its head."""

    reward_model_quantization_bit: Annotated[int | None, Field(ge=1, le=8), Form("expert", unit="bits")] = None
    """Load the reward model with this many bits per weight."""

    ppo_buffer_size: Annotated[int, Field(ge=1), Form("advanced", unit="steps", when=(IN_PPO,))] = 1
    """How many optimizer steps' worth of answers are written before they are learned from."""

    ppo_epochs: Annotated[int, Field(ge=1), Form("basic", unit="epochs", when=(IN_PPO,))] = 4
    """How often each buffer of answers is gone through."""

    ppo_target: Annotated[float, Field(gt=0), Form("advanced", when=(IN_PPO,))] = 6.0
    """KL distance from the reference, summed over an answer, that the adaptive penalty aims at."""

    ppo_score_norm: Annotated[bool, Form("advanced", when=(IN_PPO,))] = False
    """Subtract from rewards the mean of all so far, and divide by their spread so far."""

    ppo_whiten_rewards: Annotated[bool, Form("advanced", when=(IN_PPO,))] = False
    """Bring the rewards of a buffer's tokens, KL penalty included, to a spread of 1 around their mean before advantages
    are computed."""

    ppo_kl_coef: Annotated[float, Field(ge=0), Form("advanced", when=(IN_PPO,))] = 0.2
    """Weight of the KL penalty at the start; it then adapts towards `ppo_target`."""

    ppo_kl_horizon: Annotated[int, Field(ge=1), Form("expert", unit="answers", when=(IN_PPO,))] = 10000
    """How slowly the weight of the KL penalty adapts: over so many answers it rises or falls by about a fifth at
    most."""

    ppo_clip: Annotated[float, Field(gt=0), Form("expert", when=(IN_PPO,))] = 0.2
    """How far the probability of a token may move on one buffer before it stops to count, as a ratio around 1; of
    values, as a distance."""

    ppo_value_weight: Annotated[float, Field(ge=0), Form("expert", when=(IN_PPO,))] = 0.1
    """Weight of the value head's loss beside the policy's."""

    ppo_gamma: Annotated[float, Field(gt=0, le=1), Form("expert", when=(IN_PPO,))] = 1.0
    """Discount of later rewards, per token."""

    ppo_lambda: Annotated[float, Field(ge=0, le=1), Form("expert", when=(IN_PPO,))] = 0.95
    """Between trust in the value head (0) and in what the answer really got (1): lambda of GAE."""


class GrpoTable(Table):
    """GRPO and RLOO: several answers to each prompt are compared with each other."""

    applies_when: ClassVar[tuple[Condition, ...]] = (IN_GROUPS,)

    num_generations: Annotated[int, Field(ge=2), Form("basic", unit="answers")] = 8
    """How many answers each prompt gets; the answers of an optimizer step must be a multiple of it."""

    beta: Annotated[float, Field(ge=0), Form("basic")] = 0.04
    """Weight of the KL distance from the reference: in the loss (grpo), or taken off the reward (rloo). 0: none, and no
    reference is asked."""

    num_iterations: Annotated[int, Field(ge=1), Form("advanced", unit="epochs")] = 1
    """How often the answers of a step are gone through."""

    epsilon: Annotated[float, Field(gt=0, lt=1), Form("advanced")] = 0.2
    """How far a probability may move on the same answers before it stops to count, as a ratio around 1."""

    epsilon_high: Annotated[float | None, Field(gt=0), Form("expert")] = None
    """The same upwards (DAPO: 0.28). Unset: as `epsilon`."""

    use_bias_correction_kl: Annotated[bool, Form("expert", when=(Condition("method.stage", ("grpo",)),))] = False
    """Weigh the KL distance of each token by the ratio of its probabilities, so that its gradient is that of the
    distance itself (DeepSeek-V3.2; the default of TRL 1.16). Off: as in the paper of GRPO, with a weaker pull."""

    scale_rewards: Annotated[bool, Form("advanced", when=(Condition("method.stage", ("grpo",)),))] = True
    """Divide by the spread of a group's rewards. Off (Dr. GRPO): groups that nearly agree count less."""

    loss_type: Annotated[
        Literal["grpo", "dapo", "dr_grpo"], Form("expert", when=(Condition("method.stage", ("grpo",)),))
    ] = "grpo"
    """Over what the loss is a mean: first over the tokens of each answer (`grpo`), over all tokens alike (`dapo`), or
    over `max_new_tokens` for each answer, so that length does not weigh (`dr_grpo`)."""


class RewardTable(Table):
    """Rewards that are computed from the text of an answer, for ppo, grpo and rloo."""

    applies_when: ClassVar[tuple[Condition, ...]] = (IN_ANSWERING,)

    reward_funcs: Annotated[TextList, Form("basic")] = []
    """What is rewarded, beside the reward model if there is one: `exact`, `contains`, `regex`, `format`, `length`,
    `python`. Each gives 0 to 1 (python: any number); their weighted sum is the reward."""

    reward_weights: Annotated[NumberList, Form("advanced")] = []
    """A weight for each of `reward_funcs`, in their order. Empty: 1 each."""

    reward_model_weight: Annotated[float, Form("advanced")] = 1.0
    """Weight of the reward model's score beside `reward_funcs`."""

    reward_words: Annotated[TextList, Form("basic")] = []
    """`contains`: 1 when one of these words stands in the answer, whatever its case. Empty: the expected answer of the
    row."""

    reward_regex: Annotated[str | None, Form("basic")] = None
    """`regex`: 1 when this pattern is found anywhere in the answer."""

    reward_format: Annotated[str | None, Form("advanced")] = None
    """`format`: 1 when the whole answer has the form of this pattern, such as `<think>.*</think>.*`."""

    reward_answer_regex: Annotated[str | None, Form("advanced")] = None
    """`exact` and `contains`: where in the answer to look, the first group of this pattern (its last place). Unset: the
    whole answer."""

    reward_length: Annotated[int, Field(ge=1), Form("basic", unit="tokens")] = 100
    """`length`: 1 for answers of up to this many tokens, falling to 0 at twice as many."""

    reward_file: Annotated[str | None, Form("basic")] = None
    """`python`: a file with a function `reward(prompt, answer, expected)` that returns a number. It runs only after you
    have agreed to its content: `trimtab trust FILE`, or `t` in the form."""

    eval_greedy: Annotated[bool, Form("advanced")] = False
    """Evaluate the likeliest answers to the held-out prompts, always the same ones, as a user with a cool temperature
    gets them. Off: they are drawn as in training, from a fixed seed, so that `eval_reward` and `reward` can be
    compared."""

    reward_timeout: Annotated[float, Field(gt=0), Form("expert", unit="seconds")] = 60.0
    """How long a reward service may take for one request; after four tries in vain the run stops with what it has."""
