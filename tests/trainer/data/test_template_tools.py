"""Tools in the best known families: the list, a call and its result, exactly as their models read them."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.data.messages import Message
from trainer.data.templates import TOOL_FORMATS, TemplateRefusedError, named_template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SIGNATURE = (
    '{"name": "weather", "description": "The weather of a city", "parameters": {"type": "object", "properties": '
    '{"city": {"type": "string", "description": "its name", "enum": ["Rome", "Oslo"]}, '
    '"days": {"type": "array", "items": {"type": "integer"}}}, "required": ["city"]}}'
)
WRAPPED = '{"type": "function", "function": ' + SIGNATURE + "}"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "its name", "enum": ["Rome", "Oslo"]},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    },
}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}}
DIALOGUE = (
    Message("system", "Be brief."),
    Message("user", "Rain?"),
    Message("assistant", None, tool_calls=(CALL,)),
    Message("tool", "sunny", name="weather"),
    Message("assistant", "No."),
)

DEFAULT_TOOLS = (
    "You have access to the following tools:\n"
    "> Tool Name: weather\nTool Description: The weather of a city\nTool Args:\n"
    "  - city (string, required): its name, should be one of [Rome, Oslo]\n"
    "  - days (array): , where each item should be integer\n"
    "Use the following format if using a tool:\n```\nAction: tool name (one of [weather])\n"
    "Action Input: the input to the tool, in a JSON format representing the kwargs "
    '(e.g. ```{"input": "hello world", "num_beams": 5}```)\n```\n'
)
QWEN_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    f"You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{WRAPPED}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
QWEN_TURNS = (
    "<|im_start|>user\nRain?<|im_end|>\n<|im_start|>assistant\n"
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}\n</tool_call><|im_end|>\n'
    "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n"
)
QWEN35_TOOLS = f"""# Tools

You have access to the following functions:

<tools>
{WRAPPED}
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within \
<tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell \
the user about function calls
</IMPORTANT>"""
LLAMA_TOOLS = """You have access to the following functions. To call a function, please respond with JSON for a \
function call.Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.\
Do not use variables.

{
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {
                    "type": "string",
                    "description": "its name",
                    "enum": [
                        "Rome",
                        "Oslo"
                    ]
                },
                "days": {
                    "type": "array",
                    "items": {
                        "type": "integer"
                    }
                }
            },
            "required": [
                "city"
            ]
        }
    }
}

"""
GEMMA_TOOL = (
    'declaration:weather{description:<|"|>The weather of a city<|"|>,parameters:{properties:{'
    'city:{description:<|"|>its name<|"|>,enum:[<|"|>Rome<|"|>,<|"|>Oslo<|"|>],type:<|"|>STRING<|"|>},'
    'days:{items:{type:<|"|>INTEGER<|"|>},type:<|"|>ARRAY<|"|>}},'
    'required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}'
)

EXPECTED: dict[str, str] = {
    "chatml": (
        f"<|im_start|>system\nBe brief.\n\n{DEFAULT_TOOLS}<|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n"
        '<|im_start|>assistant\nAction: weather\nAction Input: {"city": "Rome", "days": [1, 2]}<|im_end|>\n'
        "<|im_start|>tool\nsunny<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n"
    ),
    "gemma4": (
        f"<s><|turn>system\n<|think|>Be brief.<|tool>{GEMMA_TOOL}<tool|><turn|>\n<|turn>user\nRain?<turn|>\n"
        "<|turn>model\n<|channel>thought\n<channel|>"
        '<|tool_call>call:weather{city:<|"|>Rome<|"|>,days:[1,2]}<tool_call|>'
        '<|tool_response>response:weather{value:<|"|>sunny<|"|>}<tool_response|>'
        "<|channel>thought\n<channel|>No.<turn|>\n"
    ),
    "llama3": (
        "<s><|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython\n"
        f"Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n{LLAMA_TOOLS}Be brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nRain?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        '{"name": "weather", "parameters": {"city": "Rome", "days": [1, 2]}}<|eot_id|>'
        "<|start_header_id|>ipython<|end_header_id|>\n\nsunny<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nNo.<|eot_id|>"
    ),
    "llama4": (
        f"<s><|header_start|>system<|header_end|>\n\nEnvironment: ipython\n{LLAMA_TOOLS}Be brief.<|eot|>"
        "<|header_start|>user<|header_end|>\n\nRain?<|eot|><|header_start|>assistant<|header_end|>\n\n"
        '{"name": "weather", "parameters": {"city": "Rome", "days": [1, 2]}}<|eot|>'
        "<|header_start|>ipython<|header_end|>\n\nsunny<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\nNo.<|eot|>"
    ),
    "ministral": (
        f"<s>[AVAILABLE_TOOLS][{WRAPPED}][/AVAILABLE_TOOLS][INST]Be brief.\n\nRain?[/INST]"
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}]</s>'
        '[TOOL_RESULTS]{"content": sunny}[/TOOL_RESULTS]No.</s>'
    ),
    "ministral3": (
        f"<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][AVAILABLE_TOOLS][{WRAPPED}][/AVAILABLE_TOOLS][INST]Rain?[/INST]"
        '[TOOL_CALLS]weather[ARGS]{"city": "Rome", "days": [1, 2]}</s>[TOOL_RESULTS]sunny[/TOOL_RESULTS]No.</s>'
    ),
    "mistral": (
        f"<s>[AVAILABLE_TOOLS] [{WRAPPED}][/AVAILABLE_TOOLS][INST] Be brief.\n\nRain?[/INST]"
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}]</s>'
        '[TOOL_RESULTS] {"content": sunny}[/TOOL_RESULTS] No.</s>'
    ),
    "mistral_small": (
        f"<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][AVAILABLE_TOOLS][{WRAPPED}][/AVAILABLE_TOOLS][INST]Rain?[/INST]"
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}]</s>'
        '[TOOL_RESULTS]{"content": sunny}[/TOOL_RESULTS]No.</s>'
    ),
    "phi4_mini": (
        f"<|system|>Be brief.<|tool|>[{SIGNATURE}]<|/tool|><|end|><|user|>Rain?<|end|>"
        '<|assistant|><|tool_call|>[{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}]<|/tool_call|>'
        "<|end|><|tool_response|>sunny<|end|><|assistant|>No.<|end|>"
    ),
    "qwen": f"<|im_start|>system\nBe brief.\n\n{QWEN_TOOLS}<|im_end|>\n{QWEN_TURNS}",
    "qwen3": (
        f"<|im_start|>system\nBe brief.\n\n{QWEN_TOOLS}<|im_end|>\n"
        + QWEN_TURNS.replace("No.", "<think>\n\n</think>\n\nNo.")
    ),
    "qwen3_5": (
        f"<|im_start|>system\n{QWEN35_TOOLS}\n\nBe brief.<|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n<tool_call>\n<function=weather>\n"
        "<parameter=city>\nRome\n</parameter>\n<parameter=days>\n[1, 2]\n</parameter>\n</function>\n</tool_call>"
        "<|im_end|>\n<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\nNo.<|im_end|>\n"
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_list_call_and_result(name: str) -> None:
    assert named_template(name, TOKENS).render(DIALOGUE, tools=(TOOL,)) == EXPECTED[name]


def test_tools_without_a_system_prompt() -> None:
    text = named_template("qwen3", TOKENS).render(DIALOGUE[1:2], tools=(TOOL,), add_generation_prompt=True)
    begin = f"<|im_start|>system\n{QWEN_TOOLS}<|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n"
    assert text == begin + "<|im_start|>assistant\n"


@pytest.mark.parametrize("name", ["mistral", "ministral", "mistral_small"])
def test_mistral_is_told_its_tools_before_the_last_question(name: str) -> None:
    messages = (*DIALOGUE, Message("user", "Snow?"))
    text = named_template(name, TOKENS).render(messages, tools=(TOOL,))
    assert text.count("[AVAILABLE_TOOLS]") == 1
    assert text.index("[AVAILABLE_TOOLS]") > text.index("No.")


def test_call_ids_are_written_where_rows_have_them() -> None:
    call = {"id": "abc123def", **CALL}
    messages = (
        *DIALOGUE[:2],
        Message("assistant", None, tool_calls=(call,)),
        Message("tool", '"sunny"', tool_call_id="abc123def"),
    )
    text = named_template("ministral", TOKENS).render(messages, tools=(TOOL,))
    assert text.endswith(
        '"arguments": {"city": "Rome", "days": [1, 2]}, "id": "abc123def"}]</s>'
        '[TOOL_RESULTS]{"content": "sunny", "call_id": "abc123def"}[/TOOL_RESULTS]'
    )


PARALLEL: dict[str, str] = {
    "default": 'Action: weather\nAction Input: {"city": "Rome", "days": [1, 2]}\nAction: stop\nAction Input: {}',
    "gemma4": (
        '<|tool_call>call:weather{city:<|"|>Rome<|"|>,days:[1,2]}<tool_call|><|tool_call>call:stop{}<tool_call|>'
    ),
    "llama3": (
        '[{"name": "weather", "parameters": {"city": "Rome", "days": [1, 2]}}, {"name": "stop", "parameters": {}}]'
    ),
    "mistral": (
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}, '
        '{"name": "stop", "arguments": {}}]'
    ),
    "qwen": (
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome", "days": [1, 2]}}\n</tool_call>\n'
        '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>'
    ),
    "qwen3_5": (
        "<tool_call>\n<function=weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n[1, 2]\n"
        "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=stop>\n</function>\n</tool_call>"
    ),
}


@pytest.mark.parametrize("tool_format", PARALLEL)
def test_any_tool_format_in_any_family_and_several_calls(tool_format: str) -> None:
    calls = (CALL, {"name": "stop", "arguments": {}})
    messages = (*DIALOGUE[:2], Message("assistant", "Let me see.", tool_calls=calls))
    text = named_template("chatml", TOKENS, tool_format).render(messages, tools=(TOOL,))
    assert (
        text.partition("assistant\n")[2].removeprefix("Let me see.").strip("\n") == PARALLEL[tool_format] + "<|im_end|>"
    )


def test_all_formats_of_llama_factory_are_known() -> None:
    names = "default gemma4 glm4 glm4_moe lfm2 ling llama3 minimax1 minimax2 mistral qwen qwen3_5 seed_oss"
    assert set(names.split()) <= set(TOOL_FORMATS)


@pytest.mark.parametrize("tool_format", TOOL_FORMATS)
def test_every_tool_format_tells_name_and_arguments(tool_format: str) -> None:
    template = named_template("chatml", TOKENS, tool_format)
    text = template.render(DIALOGUE, tools=(TOOL,))
    head, _, tail = text.partition("Rain?")
    assert "weather" in head
    assert "The weather of a city" in head
    assert tail.count("Rome") == 1
    assert tail.count("sunny") == 1
    assert template.render(DIALOGUE, tools=(TOOL["function"],)) == text


@pytest.mark.parametrize("tool_format", ["qwen3_5", "glm4_moe", "lfm2", "minimax2", "seed_oss"])
def test_formats_that_write_each_argument_need_an_object(tool_format: str) -> None:
    call = {"name": "weather", "arguments": '{"city": "Rome"}'}
    messages = (*DIALOGUE[:2], Message("assistant", None, tool_calls=(call,)))
    with pytest.raises(TemplateRefusedError, match="the arguments of a tool call must be an object"):
        named_template("chatml", TOKENS, tool_format).render(messages, tools=(TOOL,))
