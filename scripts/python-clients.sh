#!/usr/bin/env bash
# Python clients of OpenAI and Anthropic, of pinned versions, against the gateway of the examples.
# Without Python it is skipped, except with CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: $1"
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

command -v python3 >/dev/null || skip "no python3"
venv=target/python-clients
if ! [ -x "$venv/bin/python" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || { rm -rf "$venv"; skip "python3 has no venv with pip"; }
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/python-clients.txt ||
    skip "the clients could not be installed"

cargo build --features examples --example axum_gateway
target=$(cargo metadata --format-version 1 --no-deps |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
"$venv/bin/python" scripts/python_clients.py "$target/debug/examples/axum_gateway"
