#!/usr/bin/env bash
# Builds the Fiji plugin (test.sh build PYTHON), then tests it (test.sh run PYTHON), where PYTHON has superlens installed and runs the worker process.
# Without Java and Maven it says so and does nothing; in CI it installs them first. Without a screen, one in memory is used if there is Xvfb.
set -euo pipefail
cd "$(dirname "$0")"
export SUPERLENS_PYTHON=$2

if [ "${CI:-}" = true ] && [ "$1" = build ]; then ./install-tools.sh; fi
for tool in javac mvn; do
    if ! command -v "$tool" >/dev/null; then
        [ "$1" = build ] || exit 0
        echo "The Fiji plugin is neither built nor tested: there is no $tool. It needs Java 8 or newer and Maven."
        exit 0
    fi
done

maven=(mvn --batch-mode --quiet --no-transfer-progress -Dstyle.color=never)
if [ "$1" = build ]; then
    "${maven[@]}" package -DskipTests
    "$SUPERLENS_PYTHON" pack.py
    exit
fi

tests=("${maven[@]}" test)
log=target/test.log # other checks run at the same time and have the terminal
if [ -z "${DISPLAY:-}" ] && command -v xvfb-run >/dev/null && command -v openbox >/dev/null; then
    tests=(xvfb-run --auto-servernum --server-args="-screen 0 1400x1000x24" bash -c 'openbox & manager=$!; "$@"; code=$?; kill $manager; exit $code' - "${tests[@]}")
elif [ -z "${DISPLAY:-}" ]; then
    echo "The plugin's dialogs are not tested: there is no screen. Install Xvfb and openbox to test them."
fi
if "${tests[@]}" >"$log" 2>&1; then
    echo "The tests of the Fiji plugin passed; they are in fiji-plugin/$log."
else
    code=$?
    cat "$log" >&2
    echo "The tests of the Fiji plugin failed." >&2
    exit $code
fi
