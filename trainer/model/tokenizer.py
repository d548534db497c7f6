"""Loading a model's tokenizer as the recipe asks: padding, the chat template that is trained, where answers end."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from trainer.config import Recipe
from trainer.data.new_tokens import new_tokens
from trainer.data.templates import ChatTemplate, named_template, text_with_defaults, text_with_system
from trainer.data.thinking import default_variables
from trainer.data.tokenizer import add_new_tokens
from trainer.errors import UserError
from trainer.model.load import base_model_path, first_line, runs_model_code


def load_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer that belongs to the model, with the tokens that the recipe adds and a padding token.

    Raises:
        UserError: when there is none.
    """
    name = base_model_path(recipe)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=runs_model_code(recipe))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the tokenizer cannot be loaded: {first_line(error)}", field="model_name_or_path", value=name
        ) from error
    if tokens := new_tokens(recipe):
        # On the tokenizer inside, by the same lines as for the rows, so that the ids are the same.
        add_new_tokens(tokenizer.backend_tokenizer, tokens)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = _trained_template(tokenizer.chat_template, recipe)
    return tokenizer


def set_stop_tokens(model: Any, tokenizer: Any, recipe: Recipe) -> None:
    """Let generation stop where answers of the named template end, in this run and in all that load its checkpoints."""
    if recipe.data.template is None or not model.can_generate():
        return
    known = tokenizer.get_vocab()
    words = named_template(recipe.data.template).stop_words
    stated = model.generation_config.eos_token_id
    ends = [] if stated is None else [stated] if isinstance(stated, int) else list(stated)
    more = [known[word] for word in words if word in known and known[word] not in ends]
    if more:
        model.generation_config.eos_token_id = ends + more


def _trained_template(of_model: Any, recipe: Recipe) -> Any:
    """The chat template that checkpoints carry: the text that the rows are rendered with, in the mode of the recipe.

    `of_model` is the model's own: a text, several texts by name, or None.
    """
    data = recipe.data
    if data.template is not None:
        return _in_mode(named_template(data.template, tool_format=data.tool_format), recipe)
    if isinstance(of_model, dict):
        return {name: _in_mode(ChatTemplate(text), recipe) for name, text in of_model.items()}
    return None if of_model is None else _in_mode(ChatTemplate(of_model), recipe)


def _in_mode(template: ChatTemplate, recipe: Recipe) -> str:
    data = recipe.data
    text = template.text if data.default_system is None else text_with_system(template.text, data.default_system)
    return text_with_defaults(text, default_variables(template, data.enable_thinking, data.preserve_thinking))
