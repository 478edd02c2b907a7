package readmodel

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
)

const (
	// LargeFleet is the minimum number of accounts with waiting prospects for which the forecast is
	// stored. Making one takes a good part of a second at that size, and each command would make
	// its own. Smaller fleets always get a new forecast.
	LargeFleet = 5000
	// storedFor is the maximum age of a stored forecast. An older one means that the job that
	// stores it has failed several times in a row.
	storedFor = 5 * time.Minute
)

// storedSnapshot is the stored form of a snapshot. Its fields are those of snapshot and ticks.
type storedSnapshot struct {
	Current           time.Time
	IsPlanned         bool
	Length            time.Duration
	Settings          dbsqlc.SettingsRow
	Took              time.Duration
	Accounts, Backlog int
	Longest           []int64
	Workspaces        map[int64]FleetBacklog
	MostPaused        []int64
	PausedAccounts    int
	Counts            AccountCounts
	Moves             FleetMoves
	DoneAt            *time.Time
	DoneNotBefore     *time.Time
	Forecast          plan.Packed
}

// storedAccounts is how many of the accounts with the most paused prospects are stored with a
// forecast.
const storedAccounts = 100

// Store makes a forecast and stores it in the database, for processes that have none yet, if
// prospects wait for at least atLeast accounts (see [LargeFleet]). Otherwise it removes the stored
// forecast.
func Store(ctx context.Context, db *store.Store, atLeast int) error {
	isLarge, err := db.Read().HasWaitingAccounts(ctx, int32(atLeast))
	if err != nil {
		return fmt.Errorf("counting the accounts with waiting prospects: %w", err)
	}
	if !isLarge {
		if err := db.Trip().DropForecast(ctx); err != nil {
			return fmt.Errorf("removing the stored forecast: %w", err)
		}
		return nil
	}
	seen, err := see(ctx, db)
	if err != nil {
		return err
	}
	err = db.SnapshotWith(ctx, bounded, func(q *dbsqlc.Queries) (err error) {
		seen.mostPaused, seen.pausedAccounts, err = mostPaused(ctx, q, storedAccounts)
		return err
	})
	if err != nil {
		return err
	}
	content, err := seen.pack()
	if err != nil {
		return fmt.Errorf("packing the forecast: %w", err)
	}
	err = db.Trip().StoreForecast(ctx, dbsqlc.StoreForecastParams{Seconds: time.Since(seen.at).Seconds(), Content: content})
	if err != nil {
		return fmt.Errorf("storing the forecast: %w", err)
	}
	return nil
}

// stored returns the stored forecast if it is from after the given time and not too old; otherwise
// nil.
func stored(ctx context.Context, db *store.Store, after time.Time) (*snapshot, error) {
	row, err := db.Read().StoredForecast(ctx, storedFor)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the stored forecast: %w", err)
	}
	at := time.Now().Add(-time.Duration(row.Seconds * float64(time.Second)))
	if !at.After(after) {
		return nil, nil
	}
	return unpack(row.Content, at), nil
}

func (s *snapshot) pack() ([]byte, error) {
	var content bytes.Buffer
	compressed, err := flate.NewWriter(&content, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	err = gob.NewEncoder(compressed).Encode(storedSnapshot{
		Current: s.made.current, IsPlanned: s.made.isPlanned, Length: s.made.length, Settings: s.made.settings,
		Took: s.took, Accounts: s.accounts, Backlog: s.backlog, Longest: s.longest, Workspaces: s.workspaces,
		MostPaused: s.mostPaused, PausedAccounts: s.pausedAccounts, Forecast: s.forecast.Pack(),
		Counts: s.counts, Moves: s.moves, DoneAt: s.done.At, DoneNotBefore: s.done.NotBefore,
	})
	if err != nil {
		return nil, err
	}
	// Close flushes the compressor.
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// unpack returns nil for content in the format of another version of the program.
func unpack(content []byte, at time.Time) *snapshot {
	var s storedSnapshot
	if gob.NewDecoder(flate.NewReader(bytes.NewReader(content))).Decode(&s) != nil {
		return nil
	}
	forecast, ok := s.Forecast.Unpack()
	if !ok {
		return nil
	}
	return &snapshot{
		made: ticks{current: s.Current.UTC(), isPlanned: s.IsPlanned, length: s.Length, settings: s.Settings},
		at:   at, took: s.Took, isStored: true,
		accounts: s.Accounts, backlog: s.Backlog, longest: s.Longest, workspaces: s.Workspaces,
		mostPaused: s.MostPaused, pausedAccounts: s.PausedAccounts, forecast: forecast,
		counts: s.Counts, moves: s.Moves, done: eta{s.DoneAt, s.DoneNotBefore},
	}
}
