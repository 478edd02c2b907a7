#!/usr/bin/env bash
# Runs the provider simulator, Thaw and the sender on an empty database, until Ctrl-C. Without
# DATABASE_URL, the database is a private one.
set -euo pipefail
cd "$(dirname "$0")"
export PROVIDER_ADDR=${PROVIDER_ADDR:-127.0.0.1:8090} PORT=${PORT:-3000}
export PROVIDER_URL=http://$PROVIDER_ADDR
export THAW_WEBHOOK_URL=http://127.0.0.1:$PORT/ THAW_WEBHOOK_ALLOW_PRIVATE=true
export THAW_WEBHOOK_SECRET=whsec_$(head -c 32 /dev/urandom | base64)
# Short gaps, so that there is something to see.
export THAW_PUSH_ACTIONS=true THAW_ACTION_GAP_FROM=1s THAW_ACTION_GAP_TO=2s
export THAW_ADDR=${THAW_ADDR:-127.0.0.1:8080} THAW_UNIPILE_V1_SECRET=$(head -c 16 /dev/urandom | base64)
# Ends the sender first, while Thaw and the provider run: it settles what is under way.
stop() {
  set +e
  trap '' INT TERM
  kill "$sender"
  for _ in {1..100}; do kill -0 "$sender" || break; sleep 0.1; done
  kill -9 "$sender"
  kill $(jobs -p)
} 2>/dev/null
sender=
trap stop EXIT
trap exit INT TERM
set -m # Ctrl-C reaches only this script

source ../prepare.sh
npm ci --silent
thaw migrate up
psql "$DATABASE_URL" -q -v ON_ERROR_STOP=1 -f fleet.sql >/dev/null
thaw provider-sim --addr "$PROVIDER_ADDR" --faults reset=0.1,limit_as_500=0.05,invalid_recipient=0.05 \
  --status-url "http://$THAW_ADDR/webhooks/unipile/v1" --status-secret "$THAW_UNIPILE_V1_SECRET" &
export THAW_URL=http://$THAW_ADDR
THAW_TOKEN=$(thaw token create --fleet --send --name "the sender")
export THAW_TOKEN
thaw serve &
env -u DATABASE_URL node sender.js &
sender=$!
wait -n
