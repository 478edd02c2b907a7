#!/bin/sh
# After installing, updating and removing the package: systemd reads the unit again. Thaw is neither
# started nor restarted, because it first needs its settings, or "thaw migrate up".
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
