package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// Safety says whether safety mode is on; the rest is empty where it is off.
type Safety struct {
	On        bool       `json:"on"`
	Since     *time.Time `json:"since"`
	Reason    *string    `json:"reason"`
	EnteredBy string     `json:"entered_by,omitempty"` // "monitor", or who decided it
	// EndsAt is when it ends by itself if nothing else is lost until then; nil: not by itself.
	EndsAt *time.Time `json:"ends_at"`
	// What the monitor counted: how many accounts were lost, of how many that were connected.
	AccountsLost      *int32 `json:"accounts_lost,omitempty"`
	AccountsConnected *int32 `json:"accounts_connected,omitempty"`
}

// ReadSafety says how it is with safety mode.
func ReadSafety(ctx context.Context, db *pgxpool.Pool) (safety Safety, err error) {
	err = read(ctx, db, func(q *dbsqlc.Queries) error {
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
	if safety.On && !row.Stays {
		safety.EndsAt = utc(&row.CalmAt)
	}
	return safety, nil
}
