"""A receiver of pushpull's offline notifications: checks the signature, drops what it has had, prints who has news.

    python examples/offline_receiver.py --secret "$SECRET" [--port 9000]

with `offline.webhook_url = "http://127.0.0.1:9000/"` and `offline.webhook_secret` the same. Nothing but the standard
library: this is all that a receiver in any language has to do. In your own, hand each user to the push service of its
devices, and remember the ids somewhere that outlives a restart.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

TOLERANCE_S = 300  # an older call may be a replay
REMEMBERED = 100_000  # ids; pushpull tries one notification for some twenty minutes


def is_genuine(key: bytes, event: str, timestamp: str, body: bytes, signatures: str, now: float) -> bool:
    """Whether one of the signatures is ours over id, time and body, and the call is of now."""
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    made = hmac.digest(key, b".".join((event.encode(), timestamp.encode(), body)), hashlib.sha256)
    expected = "v1," + base64.b64encode(made).decode()
    return any(hmac.compare_digest(expected, given) for given in signatures.split(" "))


class Seen:
    """The ids of what was taken; the oldest go."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def add(self, event: str) -> bool:
        """False: it was here before."""
        with self._lock:
            if event in self._ids:
                return False
            self._ids[event] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
            return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    key: bytes
    seen: Seen

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        event = self.headers.get("webhook-id", "")
        timestamp = self.headers.get("webhook-timestamp", "")
        signatures = self.headers.get("webhook-signature", "")
        if not is_genuine(self.key, event, timestamp, body, signatures, time.time()):
            self._answer(401)
            return
        if self.seen.add(event):
            data = json.loads(body)["data"]
            for user in data["users"]:
                self._notify(user, data)
        self._answer(204)

    def _notify(self, user: dict[str, object], data: dict[str, object]) -> None:
        mentioned = ", mentioned" if user["mentioned"] else ""
        print(f"{user['user']}: {user['unread']} unread in {data['cid']}{mentioned}", flush=True)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Receive pushpull's offline notifications and print them.")
    parser.add_argument("--secret", required=True, help="offline.webhook_secret")
    parser.add_argument("--port", type=int, default=9000)
    given = parser.parse_args()
    Receiver.key = base64.b64decode(given.secret.removeprefix("whsec_"))
    Receiver.seen = Seen()
    with ThreadingHTTPServer(("127.0.0.1", given.port), Receiver) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
