"""The inference worker that chats with a base model or a checkpoint, over JSON lines."""
