#!/usr/bin/env bash
# Installs what building and testing the Fiji plugin needs on a bare Debian or Ubuntu: Java, Maven, and a screen in memory for ImageJ's windows.
set -euo pipefail

missing=()
command -v javac >/dev/null || missing+=(openjdk-17-jdk)
command -v mvn >/dev/null || missing+=(maven)
command -v Xvfb >/dev/null || missing+=(xvfb xauth)
command -v openbox >/dev/null || missing+=(openbox)
[ -n "$(find /usr/share/fonts -name 'DejaVuSans.ttf' 2>/dev/null)" ] || missing+=(fonts-dejavu-core)
[ ${#missing[@]} -eq 0 ] && exit 0

apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
