# List the recipes.
default:
    @just --list

# Run the demo on a private Postgres, in half a minute.
demo:
    go run ./cmd/thaw demo

# All tests of the main module.
test:
    go test ./...

# All tests on Postgres 15, 16, 17 and 18. `just matrix 17,18 ./schema` runs some of them.
matrix *args:
    .ci/matrix {{args}}

# The tests that need Chromium, Prometheus, an OpenAPI validator, or ORMs.
e2e *flags: tools
    cd e2e && go test ./... {{flags}}

# All benchmarks at full size, with charts: about an hour. `just bench heal jobs` runs only these two.
bench *names:
    go run ./cmd/thaw bench {{names}} --charts bench-charts

# All fault-injection scenarios at full size: about three hours.
chaos *flags:
    go test ./chaos -v -count=1 -timeout 4h -full {{flags}}

# A month of a fleet of 500 accounts, checked by what the provider received: 15 to 25 minutes.
simulate *flags:
    go run ./cmd/thaw simulate --charts docs/charts/simulation {{flags}}

# All CI checks.
ci:
    .ci/run

# Install the pinned tools into .bin.
tools:
    .ci/tools

# All files of a release, in dist: `just release --key KEY` on a tag, `just release --snapshot` elsewhere.
release *flags:
    GOTOOLCHAIN=$(cat .ci/go-version) go -C release run . --out ../dist {{flags}}

# Check the release in dist, the Helm chart and the compose file.
check-release:
    .ci/tools release
    go -C release test ./...

# Lint.
lint: tools
    .bin/golangci-lint run ./...
    cd jobs && ../.bin/golangci-lint run ./...
    cd e2e && ../.bin/golangci-lint run ./...

# go mod tidy for all modules.
tidy *flags:
    .ci/tidy {{flags}}

# Regenerate the schema snapshot, the types, the Go code of schema/queries, OpenAPI's enumerations and
# the settings table.
generate: tools
    go test ./schema -run 'Snapshot|Enums|ProviderWords' -update
    cd schema && ../.bin/sqlc generate
    go test ./internal/api -run DocumentHasAllValues -update
    go test ./cmd/thaw -run Settings -update
