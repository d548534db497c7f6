"""Chat templates, rendered exactly as transformers renders them: the one that comes with a model, or a shipped one by
its name (`data/templates/`). Nothing here knows of tokens or labels.
"""

from trainer.data.templates.chat_template import (
    ChatTemplate,
    TemplateRefusedError,
    check_syntax,
    stated_defaults,
    text_with_defaults,
    text_with_system,
)
from trainer.data.templates.library import (
    TOOL_FORMATS,
    TemplateSpec,
    named_template,
    template_names,
    template_spec,
    unmapped_names,
)
from trainer.data.templates.model_template import TEMPLATE_FILE, TEMPLATE_FOLDER, load_template

__all__ = [
    "TEMPLATE_FILE",
    "TEMPLATE_FOLDER",
    "TOOL_FORMATS",
    "ChatTemplate",
    "TemplateRefusedError",
    "TemplateSpec",
    "check_syntax",
    "load_template",
    "named_template",
    "stated_defaults",
    "template_names",
    "template_spec",
    "text_with_defaults",
    "text_with_system",
    "unmapped_names",
]
