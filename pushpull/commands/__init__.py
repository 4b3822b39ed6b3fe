"""What `pushpull` can be told to do.

Each module whose name has no leading underscore is one command of that name; its click command is called `command`.
"""
