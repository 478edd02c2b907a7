package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// AccountCounts count the accounts of the fleet. Counting reads all accounts, so it is done once
// for all viewers, with the forecast.
type AccountCounts struct {
	At       time.Time        `json:"at"` // when they were counted
	Total    int64            `json:"total"`
	ByStatus map[string]int64 `json:"by_status"`
	// Stuck accounts have been connecting for more than an hour.
	Stuck    int64 `json:"stuck"`
	Flapping int64 `json:"flapping"`
	Locked   int64 `json:"locked"`
	OnHold   int64 `json:"on_hold"`
}

func countAccounts(ctx context.Context, q *dbsqlc.Queries) (AccountCounts, error) {
	rows, err := q.CountAccountsByStatus(ctx)
	if err != nil {
		return AccountCounts{}, fmt.Errorf("counting accounts: %w", err)
	}
	counts := AccountCounts{ByStatus: map[string]int64{}}
	for _, r := range rows {
		counts.ByStatus[r.Status] = r.Accounts
		counts.Total += r.Accounts
		counts.Stuck, counts.Flapping = counts.Stuck+r.Stuck, counts.Flapping+r.Flapping
		counts.Locked, counts.OnHold = counts.Locked+r.Locked, counts.OnHold+r.OnHold
	}
	return counts, nil
}

// counted returns the counts of the view; nil if another version of the program stored it without
// them. now is by the database clock.
func (v *view) counted(now time.Time) *AccountCounts {
	if v.counts.At.IsZero() {
		return nil
	}
	counts := v.counts
	counts.At = now.Add(-time.Since(v.at).Truncate(time.Second))
	return &counts
}
