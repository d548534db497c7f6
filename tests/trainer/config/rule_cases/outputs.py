"""Recipes that break a rule about the run directory, reports and uploads."""

from tests.trainer.config.rule_cases.case import Case, case

OUTPUT_CASES: tuple[Case, ...] = (
    case("run_is_never_overwritten", "a run is never overwritten here", train__overwrite_output_dir=True),
    case("run_name_is_path", "run_name = a/b must be the name of one folder", train__run_name="a/b"),
    case(
        "two_names",
        "run_name = a is not used, because output_dir = /tmp/b",
        train__run_name="a",
        train__output_dir="/tmp/b",
    ),
    case("report_to_none_and_others", "report_to names none and all", train__report_to=["none", "all"]),
    case("report_to_unknown", "report_to = wandbb is no service", train__report_to=["wandbb"]),
    case("report_package_missing", "install it with `pip install clearml`", train__report_to=["clearml"]),
    case("report_package_missing", "swanlab gets the figures only when", swanlab__use_swanlab=True),
    case("has_no_effect", "profiler_wait_steps has no effect unless", profiler__profiler_wait_steps=2),
    case("upload_without_token", "set the environment variable HF_TOKEN", train__push_to_hub=True),
)
