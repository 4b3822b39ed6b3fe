"""pushpull: a delivery service for chat. One log per conversation, cursors per member, push or notify-then-pull."""

__version__ = "0.1.0"
