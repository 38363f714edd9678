"""The peer of benches/portal.rs: for each request the slow key check, a new SSH connection, `virsh list --all`.

Written from the description of the older portal; needs `paramiko`; reads FACTS, prints where it listens."""
import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import paramiko

FACTS = json.loads(os.environ["FACTS"])
ROUNDS = 600_000
KEY = secrets.token_urlsafe(32)
SALT = secrets.token_bytes(16)


def hashed(key):
    return base64.b64encode(hashlib.pbkdf2_hmac("sha256", key.encode(), SALT, ROUNDS, 32))


STORED = hashed(KEY)


def listed():
    client = paramiko.SSHClient()
    client.load_host_keys(FACTS["known_hosts"])
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.connect(
            "127.0.0.1", port=FACTS["port"], username=FACTS["username"], key_filename=FACTS["private_key"],
            look_for_keys=False, allow_agent=False, timeout=10,
        )
        _, stdout, _ = client.exec_command("virsh -c qemu:///session list --all")
        text = stdout.read().decode()
        assert stdout.channel.recv_exit_status() == 0
    finally:
        client.close()
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[2:] if line.strip()]
    return [{"name": name, "state": state, "id": None if id == "-" else id} for id, name, state in rows]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(hashed(key), STORED):
            return self.answer(403, {"detail": "Invalid API key"})
        return self.answer(200, listed())

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(json.dumps({"address": f"127.0.0.1:{server.server_address[1]}", "key": KEY}), flush=True)
server.serve_forever()
