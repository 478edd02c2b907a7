#!/bin/sh
# Before the package is removed. An update passes "upgrade" (deb) or 1 (rpm), and stops nothing.
if [ -d /run/systemd/system ]; then
  case "${1:-}" in
  remove | 0) systemctl disable --now thaw.service || true ;;
  esac
fi
