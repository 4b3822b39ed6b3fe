"""Writes a conversation of an old chat as lines for `pushpull import`: rows_to_lines.py chat.sqlite tea > tea.ndjson"""

import hashlib
import json
import sqlite3
import sys
from collections import Counter


def lines(chat, room):
    (title,) = chat.execute("SELECT title FROM rooms WHERE id = ?", [room]).fetchone()
    yield {"type": "conversation", "format": 1, "cid": room, "settings": {"data": {"title": title}}}
    seqs = {}  # the old id of a message → its seq here
    messages = "SELECT id, author, text, sent_at, answers FROM messages WHERE room = ? ORDER BY sent_at, id"
    for old, author, text, sent_at, answers in chat.execute(messages, [room]):
        seqs[old] = len(seqs) + 1
        message = {
            "type": "message",
            "ts": int(sent_at * 1000),
            "from": author,
            "cmid": f"old:{old}",
            "body": {"text": text},
        }
        yield message | ({"ref": seqs[answers]} if answers in seqs else {})
    for user, role, last_read in chat.execute("SELECT user, role, last_read FROM members WHERE room = ?", [room]):
        yield {"type": "member", "user": user, "role": role, "read": seqs.get(last_read, 0)}


checksum, counts = hashlib.sha256(), Counter()
for line in lines(sqlite3.connect(sys.argv[1]), sys.argv[2]):
    text = json.dumps(line) + "\n"
    checksum.update(text.encode())
    counts[line["type"]] += 1
    sys.stdout.write(text)
end = {"messages": counts["message"], "members": counts["member"], "sha256": checksum.hexdigest()}
print(json.dumps({"type": "end"} | end))
