#!/usr/bin/env bash
# Makes sure that the browser tests find a Chromium where this user may install one; without it they are one skip.
set -uo pipefail

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
command -v apt-get >/dev/null 2>&1 || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || exit 0
  as_root=(sudo -n)
fi
echo "== installing chromium for the browser tests"
export DEBIAN_FRONTEND=noninteractive
if ! { timeout 120 "${as_root[@]}" apt-get update -qq && timeout 300 "${as_root[@]}" apt-get install -qq -y --no-install-recommends chromium; } >/dev/null 2>&1; then
  echo "chromium could not be installed; the browser tests are skipped"
fi
