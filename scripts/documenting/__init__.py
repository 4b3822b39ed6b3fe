"""The documentation's site: what is made from the code, and what of the repository its pages link to.

hook            what mkdocs calls while it builds; the only part that knows mkdocs
made            the pages that are made
outside         files outside of docs/ that pages link to, and the links to them
settings_page   every setting, from the code and from the comments of config/pushpull.toml
commands_page   every command and option, from click
calls_page      every HTTP call, from the OpenAPI document
frames_page     every WebSocket frame, from the AsyncAPI document
shapes          JSON Schema as tables
prose           text that is no Markdown, as Markdown
"""
