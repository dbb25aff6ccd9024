"""How close the forecast of a plan comes to what its apply then takes: requests and time, at the rate limit.

    python -m benchmarks.forecast [CHANGES] [LATENCY]

An emulator in a process of its own, with the vendor's limit of 7 requests per second, answers each request after the
given latency in seconds. A sheet that adds a half of CHANGES and updates the other is planned, the plan is stored and
applied. The time is that of the arrivals by the server's clock, from the first to the last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from catalogsync.api.auth import APIS

BATCHES = (250, 10)
MAPPING = "catalog: 4220\nkey: code\ncolumns: {name: name, code: Code, amount: Amount}\n"
FIELDS = [{"id": 101, "name": "Code", "type": "text"}, {"id": 102, "name": "Amount", "type": "numeric"}]


def measure(url: str, token: str, api: str, folder: Path, batch: int) -> str:
    """A plan and its apply as processes of their own, as a line of figures."""
    environment = {
        **os.environ,
        "CATALOGSYNC_URL": url,
        "CATALOGSYNC_TOKEN": token,
        "CATALOGSYNC_API": api,
        "CATALOGSYNC_STATE": str(folder / f"state-{api}-{batch}"),
    }

    def command(*arguments: str) -> None:
        told = [sys.executable, "-m", "catalogsync", *arguments]
        subprocess.run(
            told, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    command("plan", "sheet.csv", "-m", "map.yaml", "--batch", str(batch), "--out", "plan.json", "-q")
    forecast = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["forecast"]
    requests.delete(f"{url}/_emulator/requests", timeout=10)
    command("apply", "plan.json", "-q")
    at_s = sorted(arrival["at_s"] for arrival in requests.get(f"{url}/_emulator/requests", timeout=30).json())
    took_s = at_s[-1] - at_s[0]
    counts = f"{forecast['requests']:8}  {len(at_s):8}"
    return f"{api:3}  {batch:5}  {counts}  {forecast['seconds'] / 60:8.2f}  {took_s / 60:8.2f}  " + (
        f"{forecast['seconds'] / took_s - 1:+7.1%}"
    )


def main() -> None:
    """Print one line per dialect and batch size."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    latency_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1
    half = count // 2
    elements = [{"name": f"P{n}", "values": {"Code": f"C{n}", "Amount": 1}} for n in range(half)]
    seed = {"catalogs": [{"id": 4220, "name": "Products", "fields": FIELDS, "elements": elements}]}
    lines = [f"P{n};C{n};{1 + (n < half)}" for n in range(half)] + [f"N{n};N{n};3" for n in range(count - half)]
    print(f"{count} changes, latency {latency_s:g} s")
    print("api  batch  requests   arrived  minutes   in fact      off")
    for api in APIS:
        for batch in BATCHES:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "seed.json").write_text(json.dumps(seed), encoding="utf-8")
                (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
                (folder / "sheet.csv").write_text("\n".join(["name;code;amount", *lines]), encoding="utf-8")
                server = subprocess.Popen(
                    [sys.executable, "-m", "catalogsync", "emulator", "--port", "0", "--seed", "seed.json", "--json"],
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
                assert server.stdout is not None
                try:
                    started = json.loads(server.stdout.readline())
                    if latency_s:
                        fault = {"effect": "delay", "delay_s": latency_s, "count": 0}
                        requests.post(f"{started['url']}/_emulator/faults", json=fault, timeout=10).raise_for_status()
                    print(measure(started["url"], started["token"], api, folder, batch), flush=True)
                finally:
                    server.terminate()
                    server.wait()


if __name__ == "__main__":
    main()
