"""Tools in the families beyond the best known ones: the list, a call and its result, as their models read them."""

from __future__ import annotations

import pytest

from trainer.data.messages import Message
from trainer.data.templates import named_template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
FUNCTION = (
    '{"name": "weather", "description": "The weather of a city", "parameters": {"type": "object", "properties": '
    '{"city": {"type": "string", "description": "its name"}, "days": {"type": "integer"}}, "required": ["city"]}}'
)
SIGNATURE = '{"type": "function", "function": ' + FUNCTION + "}"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "its name"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "北京", "days": 2}}}
DIALOGUE = (
    Message("system", "Be brief."),
    Message("user", "Rain?"),
    Message("assistant", None, tool_calls=(CALL,)),
    Message("tool", "sunny"),
    Message("assistant", "No."),
)

JSON_CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "北京", "days": 2}}\n</tool_call>'
RESULT = "<tool_response>\nsunny\n</tool_response>"
QWEN_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    f"You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{SIGNATURE}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
GLM_MOE_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    f"You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{SIGNATURE}\n</tools>\n\n"
    "For each function call, output the function name and arguments within the following XML format:\n"
    "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>\n"
    "<arg_key>{arg-key-2}</arg_key>\n<arg_value>{arg-value-2}</arg_value>\n...\n</tool_call>"
)
GLM_MOE_CALL = (
    "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>北京</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"
)
GLM4_TOOLS = """你是一个名为 ChatGLM 的人工智能助手。你是基于智谱 AI 公司训练的语言模型 GLM-4 模型开发的，\
你的任务是针对用户的问题和要求提供适当的答复和支持。

# 可用工具

## weather

{
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {
                "type": "string",
                "description": "its name"
            },
            "days": {
                "type": "integer"
            }
        },
        "required": [
            "city"
        ]
    }
}
在调用上述函数时，请使用 Json 格式表示调用的参数。"""
DEFAULT_TOOLS = (
    "You have access to the following tools:\n"
    "> Tool Name: weather\nTool Description: The weather of a city\nTool Args:\n"
    "  - city (string, required): its name\n  - days (integer): \n"
    "Use the following format if using a tool:\n```\nAction: tool name (one of [weather])\n"
    "Action Input: the input to the tool, in a JSON format representing the kwargs "
    '(e.g. ```{"input": "hello world", "num_beams": 5}```)\n```\n'
)
DEFAULT_CALL = 'Action: weather\nAction Input: {"city": "北京", "days": 2}'

TEXTS = {
    "bailing_v2": "<role>SYSTEM</role>Be brief.\n" + QWEN_TOOLS + "\ndetailed thinking off<|role_end|>"
    f"<role>HUMAN</role>Rain?<|role_end|><role>ASSISTANT</role>{JSON_CALL}<|role_end|>"
    f"<role>OBSERVATION</role>\n{RESULT}<|role_end|><role>ASSISTANT</role>No.<|role_end|>",
    "chatglm3": f"[gMASK]sop<|system|>\n {GLM4_TOOLS}<|system|>\n Be brief.<|user|>\n Rain?<|assistant|>weather\n"
    '{"city": "北京", "days": 2}<|observation|>\n sunny<|assistant|>\n No.<|user|>',
    "cohere": "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.\n\n" + DEFAULT_TOOLS + "<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Rain?<|END_OF_TURN_TOKEN|>"
    f"<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{DEFAULT_CALL}<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>sunny<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>No.<|END_OF_TURN_TOKEN|>",
    "glm4": f"[gMASK]<sop><|system|>\n{GLM4_TOOLS}<|system|>\nBe brief.<|user|>\nRain?<|assistant|>weather\n"
    '{"city": "北京", "days": 2}<|observation|>\nsunny<|assistant|>\nNo.<|user|>',
    "glm4_7": f"[gMASK]<sop><|system|>{GLM_MOE_TOOLS}<|system|>Be brief.<|user|>Rain?"
    f"<|assistant|></think>{GLM_MOE_CALL}<|observation|>{RESULT}<|assistant|></think>No.<|user|>",
    "glm4_moe": f"[gMASK]<sop><|system|>\n{GLM_MOE_TOOLS}<|system|>\nBe brief.<|user|>\nRain?<|assistant|>\n"
    f"<think></think>\n{GLM_MOE_CALL}<|observation|>\n{RESULT}<|assistant|>\n<think></think>\nNo.<|user|>",
    "gpt_oss": "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
    "Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message.\n"
    "Calls to these tools must go to the commentary channel: 'functions'.<|end|>"
    "<|start|>developer<|message|># Instructions\n\nBe brief.\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n"
    "// The weather of a city\ntype weather = (_: {\n// its name\ncity: string,\ndays?: number,\n}) => any;\n\n"
    "} // namespace functions<|end|><|start|>user<|message|>Rain?<|end|>"
    "<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>"
    '{"city": "北京", "days": 2}<|call|>'
    '<|start|>functions.weather to=assistant<|channel|>commentary<|message|>"sunny"<|end|>'
    "<|start|>assistant<|channel|>final<|message|>No.<|return|>",
    "granite4": f"<|start_of_role|>system<|end_of_role|>Be brief.\n\n{QWEN_TOOLS}<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Rain?<|end_of_text|>\n"
    f"<|start_of_role|>assistant<|end_of_role|>{JSON_CALL}<|end_of_text|>\n"
    f"<|start_of_role|>user<|end_of_role|>\n{RESULT}<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>No.<|end_of_text|>\n",
    "kimi": "<|im_system|>tool_declare<|im_middle|>"
    '[{"type":"function","function":{"name":"weather","description":"The weather of a city","parameters":'
    '{"type":"object","properties":{"city":{"type":"string","description":"its name"},"days":{"type":"integer"}},'
    '"required":["city"]}}}]'
    "<|im_end|><|im_system|>system<|im_middle|>Be brief.<|im_end|><|im_user|>user<|im_middle|>Rain?<|im_end|>"
    "<|im_assistant|>assistant<|im_middle|><|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0"
    '<|tool_call_argument_begin|>{"city": "北京", "days": 2}<|tool_call_end|><|tool_calls_section_end|><|im_end|>'
    "<|im_system|>weather<|im_middle|>## Return of functions.weather:0\nsunny<|im_end|>"
    "<|im_assistant|>assistant<|im_middle|>No.<|im_end|>",
    "lfm2": "<s><|im_start|>system\nBe brief.\n"
    f"List of tools: <|tool_list_start|>[{FUNCTION}]<|tool_list_end|><|im_end|>\n"
    "<|im_start|>user\nRain?<|im_end|>\n"
    '<|im_start|>assistant\n<|tool_call_start|>[weather(city="北京", days=2)]<|tool_call_end|><|im_end|>\n'
    "<|im_start|>tool\n<|tool_response_start|>sunny<|tool_response_end|><|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n",
    "mimo": f"<|im_start|>system\nBe brief.\n\n{QWEN_TOOLS}<|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n"
    f"<|im_start|>assistant\n{JSON_CALL}<|im_end|>\n<|im_start|>user\n{RESULT}<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\nNo.<|im_end|>\n",
    "minimax1": "<begin_of_document><beginning_of_sentence>system ai_setting=assistant\nBe brief.<end_of_sentence>\n"
    "<beginning_of_sentence>system tool_setting=tools\n"
    f"You are provided with these tools:\n<tools>\n{FUNCTION}\n</tools>\n\n"
    "If you need to call tools, please respond with <tool_calls></tool_calls> XML tags, and provide tool-name and "
    "json-object of arguments, following the format below:\n<tool_calls>\n"
    '{"name": <tool-name-1>, "arguments": <args-json-object-1>}\n...\n</tool_calls><end_of_sentence>\n'
    "<beginning_of_sentence>user name=user\nRain?<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\n<tool_calls>\n"
    '{"name": "weather", "arguments": {"city": "北京", "days": 2}}\n</tool_calls><end_of_sentence>\n'
    "<beginning_of_sentence>tool name=tools\nsunny<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\nNo.<end_of_sentence>\n",
    "minimax2": "]~!b[]~b]system\nBe brief.\n\n# Tools\nYou may call one or more tools to assist with the user query.\n"
    f"Here are the tools available in JSONSchema format:\n\n<tools>\n<tool>{FUNCTION}</tool>\n</tools>\n\n"
    "When making tool calls, use XML format to invoke tools and pass parameters:\n\n<minimax:tool_call>\n"
    '<invoke name="tool-name-1">\n<parameter name="param-key-1">param-value-1</parameter>\n'
    '<parameter name="param-key-2">param-value-2</parameter>\n...\n</invoke>\n</minimax:tool_call>[e~[\n'
    "]~b]user\nRain?[e~[\n"
    ']~b]ai\n<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">北京</parameter>\n'
    '<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>[e~[\n'
    "]~b]tool\n<response>sunny</response>[e~[\n]~b]ai\n<think>\n\n</think>\n\nNo.[e~[\n",
    "seed_oss": "<seed:bos>system\nBe brief.\n\n"
    "Tool List:\nYou are authorized to use the following tools (described in JSON Schema format). Before performing "
    "any task, you must decide how to call them based on the descriptions and "
    f"parameters of these tools.\n[{SIGNATURE}]\n工具调用请遵循如下格式:\n<seed:tool_call>\n"
    "<function=example_function_name>\n<parameter=example_parameter_1>value_1</parameter>\n"
    "<parameter=example_parameter_2>This is the value for the second parameter\n"
    "that can span\nmultiple lines</parameter>\n"
    "</function>\n</seed:tool_call>\n<seed:eos><seed:bos>user\nRain?<seed:eos>"
    "<seed:bos>assistant\n<seed:tool_call>\n<function=weather>\n<parameter=city>北京</parameter>\n"
    "<parameter=days>2</parameter>\n</function>\n</seed:tool_call><seed:eos>"
    "<seed:bos>tool\nsunny<seed:eos><seed:bos>assistant\n<seed:think></seed:think>\nNo.<seed:eos>",
    "telechat2": f"<_system>Be brief.\n\n{QWEN_TOOLS}\n"
    f"<_user>Rain?<_bot>{JSON_CALL}<_end>\n<_user>{RESULT}<_bot>No.<_end>\n",
    "youtu": f"<s>Be brief.\n\n{DEFAULT_TOOLS}<|User|>Rain?<|Assistant|>{DEFAULT_CALL}<|end_of_text|>"
    f"{RESULT}<|Assistant|><think>\n\n</think>\n\nNo.<|end_of_text|>",
}


@pytest.mark.parametrize(("name", "text"), TEXTS.items(), ids=TEXTS)
def test_tools_with_a_system_prompt(name: str, text: str) -> None:
    assert named_template(name, TOKENS).render(DIALOGUE, tools=(TOOL,)) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("glm4_moe", f"<|observation|>\n{RESULT}\n<tool_response>\nwarm\n</tool_response><|assistant|>"),
        (
            "mimo",
            f"<|im_start|>user\n{RESULT}\n<tool_response>\nwarm\n</tool_response><|im_end|>\n<|im_start|>assistant",
        ),
        ("minimax2", "]~b]tool\n<response>sunny</response>\n<response>warm</response>[e~[\n]~b]ai"),
        (
            "kimi",
            "<|im_system|>weather<|im_middle|>## Return of functions.weather:0\nsunny<|im_end|>"
            "<|im_system|>weather<|im_middle|>## Return of functions.weather:1\nwarm<|im_end|>",
        ),
        ("bailing_v2", f"<role>OBSERVATION</role>\n{RESULT}\n<tool_response>\nwarm\n</tool_response><|role_end|>"),
    ],
)
def test_results_of_several_calls(name: str, text: str) -> None:
    dialogue = (
        Message("user", "Rain?"),
        Message("assistant", "Let me see.", tool_calls=(CALL, CALL)),
        Message("tool", "sunny"),
        Message("tool", "warm"),
        Message("assistant", "No."),
    )
    rendered = named_template(name, TOKENS).render(dialogue, tools=(TOOL,))
    assert text in rendered
    assert rendered.count("Let me see.") == 1


def test_types_of_parameters_in_gpt_oss() -> None:
    properties = {
        "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        "days": {"type": "array", "items": {"type": "integer"}},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
        "exact": {"type": "boolean", "default": False},
        "other": {},
    }
    tools = (
        {"type": "function", "function": {"name": "f", "description": "F.", "parameters": {"properties": properties}}},
        {"type": "function", "function": {"name": "g", "description": "G."}},
    )
    assert (
        "// F.\ntype f = (_: {\n"
        'unit?: "C" | "F", // default: C,\n'
        "days?: number[],\n"
        "place?: {\nlat?: number, lon?: number},\n"
        "exact?: boolean, // default: false,\n"
        "other?: any,\n"
        "}) => any;\n\n"
        "// G.\ntype g = () => any;\n\n"
    ) in named_template("gpt_oss", TOKENS).render((Message("user", "Hi"),), tools=tools)


def test_calls_of_gpt_oss_behind_a_thought() -> None:
    dialogue = (Message("user", "Rain?"), Message("assistant", None, "I look.", tool_calls=(CALL,)))
    text = named_template("gpt_oss", TOKENS).render(dialogue)
    assert text.endswith(
        "<|start|>assistant<|channel|>analysis<|message|>I look.<|end|>"
        "<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>"
        '{"city": "北京", "days": 2}<|call|>'
    )


def test_mimo_v2_has_no_line_breaks_between_turns() -> None:
    text = named_template("mimo_v2", TOKENS).render(DIALOGUE, tools=(TOOL,))
    assert f"</tool_call><|im_end|><|im_start|>tool\n{RESULT}\n<|im_end|><|im_start|>assistant\n" in text


def test_telechat2_writes_results_of_several_calls_into_one_question() -> None:
    dialogue = (*DIALOGUE[:4], Message("tool", "warm"))
    text = named_template("telechat2", TOKENS).render(dialogue, tools=(TOOL,))
    assert text.endswith(f"<_user>{RESULT}\n<tool_response>\nwarm\n</tool_response>")
