# List the recipes.
default:
    @just --list

# See the main job done, in a minute, with nothing prepared.
demo:
    go run ./cmd/thaw demo

# All tests.
test:
    go test ./...

# Every benchmark at its full size, with charts: about an hour. `just bench heal jobs` runs only these.
bench *names:
    go run ./cmd/thaw bench {{names}} --charts bench-charts

# Break it in every way, at full size: about three hours.
chaos *flags:
    go test ./chaos -v -count=1 -timeout 4h -full {{flags}}

# All that CI checks.
ci:
    .ci/run

# Install the pinned tools into .bin.
tools:
    .ci/tools

# Lint.
lint: tools
    .bin/golangci-lint run ./...

# Generate Go from schema/queries, and write the snapshot of the schema and the settings table anew.
generate: tools
    go test ./schema -run Snapshot -update
    cd schema && ../.bin/sqlc generate
    go test ./cmd/thaw -run Settings -update
