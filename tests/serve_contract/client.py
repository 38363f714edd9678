"""A client of both older contracts that knows only their page. Needs `requests`; reads FACTS."""
import hashlib
import hmac
import json
import os
import time
from urllib.parse import quote

import requests

FACTS = json.loads(os.environ["FACTS"])
BASE = FACTS["base"]


class Bot:
    """The bot contract, signed as its page says."""

    def call(self, method, path, body=b""):
        timestamp = str(int(time.time()))
        message = body + timestamp.encode()
        signature = hmac.new(FACTS["hmac_secret"].encode(), message, hashlib.sha256).hexdigest()
        headers = {"x-api-key": FACTS["api_key"], "x-timestamp": timestamp, "x-signature": signature}
        if body:
            headers["content-type"] = "application/json"
        return requests.request(method, BASE + path, data=body, headers=headers, timeout=60)

    def get(self, path):
        return self.call("GET", path)

    def post(self, path):
        return self.call("POST", path, b"{}")


def expect(answer, status):
    assert answer.status_code == status, f"{answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def booted():
    """Waits as a person would who looks at the VM's console: a guest that boots does not hear its power button."""
    deadline = time.time() + 120
    while "console" in FACTS and time.time() < deadline:
        with open(FACTS["console"], "rb") as console:
            if FACTS["ready"].encode() in console.read():
                return
        time.sleep(0.1)


def bots():
    root = expect(requests.get(BASE + "/", timeout=10), 200)
    assert root["status"] == "running"
    assert expect(requests.get(BASE + "/health", timeout=10), 200)["status"] == "ok"
    assert "detail" in expect(requests.get(BASE + "/vm/list", timeout=10), 401)

    bot = Bot()
    names = expect(bot.get("/vm/list"), 200)["vms"]
    assert "web-1" in names and "Windows 10" in names
    for name in names:
        if names.count(name) > 1:
            continue
        state = expect(bot.get(f"/vm/{quote(name, safe='')}/state"), 200)
        assert state["vm_name"] == name
        assert state["state"] in ("Running", "Off", "Paused", "Saved")
        details = expect(bot.get(f"/vm/{quote(name, safe='')}/details"), 200)
        for member in ("vm_name", "state", "cpu", "cpu_usage", "memory", "memory_demand", "uptime", "generation", "ip_address"):
            assert member in details, member
    started = expect(bot.post("/vm/Windows%2010/start"), 200)
    assert started == {"vm": "Windows 10", "action": "start", "output": started["output"], "status": "success"}
    booted()
    restarted = expect(bot.post("/vm/web-1/restart"), 200)
    assert (restarted["action"], restarted["status"]) == ("restart", "success")
    stopped = expect(bot.post("/vm/Windows%2010/shutdown"), 200)
    assert (stopped["action"], stopped["status"]) == ("shutdown", "success")
    missing = expect(bot.post("/vm/nobody/start"), 404)
    assert missing["detail"].startswith("VM 'nobody' not found. Available VMs: ")
    history = expect(bot.get("/vm/history?limit=2"), 200)["history"]
    assert [entry["action"] for entry in history] == ["shutdown", "restart"]
    assert set(history[0]) >= {"timestamp", "user", "action", "vm_name", "success"}
    one = expect(bot.get("/vm/web-1/history"), 200)["history"]
    assert [entry["vm_name"] for entry in one] == ["web-1"]


def portal():
    made = expect(
        requests.post(BASE + "/users", json={"name": "Ann", "email": "ann@example.org"},
                      headers={"Authorization": f"Bearer {FACTS['admin']}"}, timeout=10),
        201,
    )
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {made['api_key']}"

    def call(method, path, status, **more):
        return expect(session.request(method, BASE + path, timeout=60, **more), status)

    assert call("GET", "/users/me", 200)["api_key_prefix"] == made["api_key"][:8]
    assert expect(requests.get(BASE + "/agents", timeout=10), 401) == {"detail": "Missing API key"}
    wrong = requests.get(BASE + "/agents", headers={"Authorization": "Bearer wrong"}, timeout=10)
    assert expect(wrong, 403) == {"detail": "Invalid API key"}

    agent = call("POST", "/agents", 201, json=FACTS["agent"])
    here = f"/agents/{agent['id']}"
    assert call("GET", "/agents", 200) == [agent]
    assert call("GET", here, 200) == agent
    assert call("PATCH", here, 200, json={"known_hosts_path": "kh"})["known_hosts_path"] == "kh"
    wrong = call("POST", "/agents", 422, json={"name": ""})["detail"]
    assert all(set(error) >= {"type", "loc", "msg", "input"} for error in wrong)
    assert wrong[0]["loc"] == ["body", "name"]
    assert call("GET", "/agents/999999", 404) == {"detail": "Agent not found"}
    call("GET", "/agents/x", 422)

    states = {vm["name"]: vm["state"] for vm in call("GET", here + "/vms", 200)}
    assert (states["web-1"], states["deaf"]) == ("running", "running")
    shown = call("GET", here + "/vms/web-1", 200)
    assert shown["dominfo"]["Name"] == "web-1" and shown["dominfo"]["State"] == "running"
    assert set(shown["raw"]) >= {"command", "exit_status", "stdout", "stderr"}
    result = call("POST", here + "/vms/deaf/force-stop", 200)
    assert result["exit_status"] == 0, result
    assert result["command"][0] == FACTS["program"], result
    assert FACTS["program"] != "virsh" or "destroy" in result["command"], result
    failed = call("POST", here + "/vms/web-1/start", 500)
    assert failed["detail"] == "Failed to start virtual machine 'web-1'"
    assert failed["command"]["exit_status"] != 0
    call("GET", here + "/credentials", 403)
    # Ours refuses to forget a host while one of its operations is still being watched.
    deadline = time.time() + 60
    while session.delete(BASE + here, timeout=60).status_code == 409 and time.time() < deadline:
        time.sleep(0.2)
    call("GET", here, 404)
    rotated = call("POST", "/users/me/api-key/rotate", 200)
    assert set(rotated) == {"api_key", "api_key_prefix"}
    call("GET", "/users/me", 403)
    assert expect(requests.get(BASE + "/nothing", timeout=10), 404) == {"detail": "Not Found"}


bots()
portal()
print("all calls answered")
