#!/usr/bin/env bash
# Builds and tests the Fiji plugin: test.sh PYTHON, where PYTHON has superlens installed and runs the worker process in the tests.
# Without Java and Maven it says so and does nothing; in CI it installs them first. Without a screen, one in memory is used if there is Xvfb.
set -euo pipefail
cd "$(dirname "$0")"
export SUPERLENS_PYTHON=$1

if [ "${CI:-}" = true ]; then ./install-tools.sh; fi
for tool in javac mvn; do
    if ! command -v "$tool" >/dev/null; then
        echo "The Fiji plugin is neither built nor tested: there is no $tool. It needs Java 8 or newer and Maven."
        exit 0
    fi
done

build=(mvn --batch-mode --quiet --no-transfer-progress -Dstyle.color=never verify)
if [ -n "${DISPLAY:-}" ]; then
    "${build[@]}"
elif command -v xvfb-run >/dev/null && command -v openbox >/dev/null; then
    xvfb-run --auto-servernum --server-args="-screen 0 1400x1000x24" bash -c 'openbox & manager=$!; "$@"; code=$?; kill $manager; exit $code' - "${build[@]}"
else
    echo "The plugin's dialogs are not tested: there is no screen. Install Xvfb and openbox to test them."
    "${build[@]}"
fi
"$SUPERLENS_PYTHON" pack.py
