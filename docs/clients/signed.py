#!/usr/bin/env python3
"""Call the bot contract of `vmdeck --serve` with the second signature.

    export API_KEY=... HMAC_SECRET=...
    python3 signed.py http://127.0.0.1:8000 GET  /vm/list
    python3 signed.py http://127.0.0.1:8000 POST /vm/web-1/start

Needs Python 3.8 and nothing else. Prints the answer's body; ends with 0 when the status is 2xx.
"""
import hashlib
import hmac
import os
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def signed_headers(secret, key_id, method, url, body=b"", content_type=""):
    """Return the headers that sign one request; make them anew for every request."""
    parts = urllib.parse.urlsplit(url)
    digest = hashlib.sha256(body).hexdigest()
    timestamp = str(time.time_ns() // 1_000_000)
    nonce = secrets.token_urlsafe(24)
    query = "&".join(sorted(parts.query.split("&")))
    covered = [key_id, method, parts.netloc, parts.path, query, content_type, digest, timestamp, nonce]
    lines = ["VMDECK-HMAC-SHA256-V2"] + [f"{len(part.encode())}:{part}" for part in covered]
    mac = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256)
    headers = {
        "x-signature-version": "2",
        "x-key-id": key_id,
        "x-timestamp": timestamp,
        "x-nonce": nonce,
        "x-content-sha256": digest,
        "x-signature": mac.hexdigest(),
    }
    if content_type:
        headers["content-type"] = content_type
    return headers


def main():
    base, method, path = sys.argv[1:4]
    url = base.rstrip("/") + path
    body = b"{}" if method == "POST" else b""
    headers = signed_headers(
        os.environ["HMAC_SECRET"],
        os.environ.get("KEY_ID", "bot"),
        method,
        url,
        body,
        "application/json" if body else "",
    )
    headers["x-api-key"] = os.environ["API_KEY"]
    request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
        sys.exit(1)


if __name__ == "__main__":
    main()
