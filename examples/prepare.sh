# For the examples, in a clone of this repository: builds thaw if it is not on the PATH, and starts a
# private Postgres if DATABASE_URL is not set.
built=$(mktemp -d)
if ! command -v thaw >/dev/null; then
  go build -o "$built/thaw" ../../cmd/thaw
  PATH=$built:$PATH
fi
if [ -z "${DATABASE_URL:-}" ]; then
  go build -o "$built/postgres" ../postgres
  coproc "$built/postgres"
  read -r DATABASE_URL <&"${COPROC[0]}"
  export DATABASE_URL
fi
