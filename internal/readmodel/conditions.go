package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// Conditions are what stops Thaw as a whole.
type Conditions struct {
	Safety Safety `json:"safety"`
	// WorkersAlive is how many worker processes are alive. 0: prospects are neither paused nor
	// resumed. Processes with --poll-only count as one at most.
	WorkersAlive int `json:"workers_alive"`
	// SilentProviders are the providers that have sent no signal for longer than usual; nil in the
	// scope of one workspace.
	SilentProviders []SilentProvider `json:"silent_providers"`
	// Adoption is nil if the platform's own tables are not adopted, and in the scope of one workspace.
	Adoption *Adoption `json:"adoption,omitempty"`
}

func readConditions(ctx context.Context, q *dbsqlc.Queries) (c Conditions, err error) {
	if c.Safety, err = readSafety(ctx, q); err != nil {
		return c, err
	}
	alive, err := q.WorkersAlive(ctx)
	if err != nil {
		return c, fmt.Errorf("counting worker processes: %w", err)
	}
	c.WorkersAlive = int(alive)
	if c.Adoption, err = readAdoption(ctx, q); err != nil {
		return c, err
	}
	c.SilentProviders, err = silentProviders(ctx, q)
	return c, err
}

// A SilentProvider is a provider that has sent no signal for longer than usual: its webhook may be
// disabled.
type SilentProvider struct {
	Provider     string    `json:"provider"`
	LastSignalAt time.Time `json:"last_signal_at"`
}

func silentProviders(ctx context.Context, q *dbsqlc.Queries) ([]SilentProvider, error) {
	rows, err := q.ProviderSilences(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading silent providers: %w", err)
	}
	silent := []SilentProvider{}
	for _, row := range rows {
		if row.IsSilent {
			silent = append(silent, SilentProvider{Provider: row.Provider, LastSignalAt: row.LastSignalAt.UTC()})
		}
	}
	return silent, nil
}
