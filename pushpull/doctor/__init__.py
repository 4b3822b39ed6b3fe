"""`pushpull doctor`: what in this Redis, this machine or these settings will bite, and how to mend it.

Theory of operation. First everything is gathered (`gather`, and `store.examination` for Redis): facts, as they were
found, in plain values. Then each check of `checks` looks at the facts, and at nothing else, and returns an item: what
it saw, and its findings. So a fault is tested by writing it into the facts, and found by the same code in a real Redis.
"""
