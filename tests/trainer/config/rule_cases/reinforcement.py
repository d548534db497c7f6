"""Recipes that break a rule about rewards and answers: ppo, grpo, rloo."""

from tests.trainer.config.rule_cases.case import Case, case

REINFORCEMENT_CASES: tuple[Case, ...] = (
    case("no_reward", "stage ppo needs a reward: name a reward_model or some of reward_funcs", method__stage="ppo"),
    case("no_reward", "stage grpo needs a reward", method__stage="grpo"),
    case(
        "ppo_reward_adapter",
        "needs finetuning_type lora, not full",
        method__stage="ppo",
        method__finetuning_type="full",
        ppo__reward_model="rm",
    ),
    case(
        "reward_service_address",
        "reward_model = judge is no address",
        method__stage="rloo",
        ppo__reward_model="judge",
        ppo__reward_model_type="api",
    ),
    case(
        "reward_parts_without_model",
        "reward_model_adapters belongs to reward_model",
        method__stage="ppo",
        ppo__reward_model_adapters=["a"],
    ),
    case(
        "reward_function_unknown",
        "there is no reward function polite: choose among exact, contains",
        method__stage="grpo",
        reward__reward_funcs=["polite"],
    ),
    case(
        "reward_setting_missing",
        "the reward function regex needs reward_regex",
        method__stage="grpo",
        reward__reward_funcs=["regex"],
    ),
    case(
        "reward_pattern",
        "reward_regex = ( is no regular expression (missing ), unterminated subpattern at position 0): mend",
        method__stage="grpo",
        reward__reward_funcs=["regex"],
        reward__reward_regex="(",
    ),
    case(
        "reward_setting_unused",
        "reward_file is set, but python is not among reward_funcs",
        method__stage="grpo",
        reward__reward_funcs=["exact"],
        reward__reward_file="mine.py",
    ),
    case(
        "reward_weights_count",
        "there are 2 reward_weights for 1 reward_funcs",
        method__stage="grpo",
        reward__reward_funcs=["exact"],
        reward__reward_weights=[1.0, 0.5],
    ),
    case(
        "answers_not_drawn",
        "stage ppo learns from different answers to a prompt",
        method__stage="ppo",
        generation__do_sample=False,
    ),
    case("answers_and_beams", "and a beam search does not", method__stage="ppo", generation__num_beams=4),
    case("answers_and_repetition", "draws by other", method__stage="rloo", generation__repetition_penalty=1.2),
    case("answers_and_dropout", "set it to 0", method__stage="ppo", lora__lora_dropout=0.1),
    case("answers_of_likeliest_tokens", "top_p and top_k leave unlikely tokens out", method__stage="ppo"),
    case(
        "answers_and_groups",
        "a step has 12 answers, which is no multiple of num_generations = 8: set gradient_accumulation_steps = 4",
        method__stage="grpo",
        train__per_device_train_batch_size=4,
        train__gradient_accumulation_steps=3,
    ),
    case("ppo_and_shift_attn", "stage ppo does not work with shift_attn", method__stage="ppo", model__shift_attn=True),
    case(
        "best_metric_unknown",
        "metric_for_best_model = loss is no figure of an evaluation in stage grpo: choose reward, kl",
        method__stage="grpo",
        train__metric_for_best_model="loss",
    ),
    case(
        "length_groups_in_stage",
        "stage ppo writes its rows itself",
        method__stage="ppo",
        train__group_by_length=True,
    ),
)
