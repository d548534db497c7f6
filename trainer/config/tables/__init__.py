"""One pydantic model per TOML table. A field is a parameter; the text under it is its help, in forms and in docs."""
