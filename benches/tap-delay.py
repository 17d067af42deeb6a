#!/usr/bin/env python3
"""What `cutover tap` adds to a request: the same GET direct and through the tap, in turns, on one connection each.

    cargo build --release
    target/release/cutover serve --listen 127.0.0.1:8799 -q &
    target/release/cutover tap 127.0.0.1:9797=http://127.0.0.1:8799 -o frontend.jsonl -q &
    benches/tap-delay.py 8799 9797 /api/balances
"""
import http.client
import sys
import time

ROUNDS = 2000
WARM_UP = 50


def milliseconds(connection, path):
    start = time.perf_counter_ns()
    connection.request("GET", path)
    connection.getresponse().read()
    return (time.perf_counter_ns() - start) / 1e6


def line(name, values):
    values = sorted(values)
    at = lambda share: values[int(len(values) * share)]
    return f"{name:8} median {at(0.5):.3f} ms, p95 {at(0.95):.3f} ms, p99 {at(0.99):.3f} ms"


def main():
    direct, tapped = (http.client.HTTPConnection("127.0.0.1", int(port)) for port in sys.argv[1:3])
    path = sys.argv[3]
    for connection in (direct, tapped):
        for _ in range(WARM_UP):
            milliseconds(connection, path)
    pairs = [(milliseconds(direct, path), milliseconds(tapped, path)) for _ in range(ROUNDS)]
    print(line("direct", [a for a, _ in pairs]))
    print(line("tapped", [b for _, b in pairs]))
    print(line("added", [b - a for a, b in pairs]))


main()
