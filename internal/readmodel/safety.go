package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// Safety is the state of safety mode. All fields but On are empty if it is off.
type Safety struct {
	On        bool       `json:"on"`
	Since     *time.Time `json:"since"`
	Reason    *string    `json:"reason"`
	EnteredBy string     `json:"entered_by,omitempty"` // "monitor", or the actor of a manual action
	// EndsAt is when Thaw exits it automatically, unless more accounts are lost before; nil if it
	// does not.
	EndsAt *time.Time `json:"ends_at"`
	// The counts of the monitor: lost accounts, out of how many connected ones.
	AccountsLost      *int32 `json:"accounts_lost,omitempty"`
	AccountsConnected *int32 `json:"accounts_connected,omitempty"`
}

// ReadSafety returns the state of safety mode.
func ReadSafety(ctx context.Context, db *store.Store) (safety Safety, err error) {
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		safety, err = readSafety(ctx, q)
		return err
	})
	return safety, err
}

func readSafety(ctx context.Context, q *dbsqlc.Queries) (Safety, error) {
	row, err := q.Safety(ctx)
	if err != nil {
		return Safety{}, fmt.Errorf("reading safety mode: %w", err)
	}
	safety := Safety{
		On: row.Since != nil, Since: utc(row.Since), Reason: row.Reason, EnteredBy: text(row.EnteredBy),
		AccountsLost: row.AccountsLost, AccountsConnected: row.AccountsConnected,
	}
	if safety.On && !row.ManualExit {
		safety.EndsAt = utc(&row.CalmAt)
	}
	return safety, nil
}
