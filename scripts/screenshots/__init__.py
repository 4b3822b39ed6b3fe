"""Pictures of the pages: a module for each, with SETTINGS and `async def shoot_all(stage: Stage)`."""
