package server

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// receive gives a delivery to the database, in one transaction: recorded, applied, and its job inserted, or none of it.
func receive(db *store.Store) webhook.Apply {
	return func(ctx context.Context, s webhook.Signal) (outcome string, err error) {
		params := dbsqlc.ReceiveSignalParams{
			Provider: s.Provider, ProviderAccountID: s.AccountID, RawStatus: s.Raw, Status: orNull(s.Status),
			OccurredAt: orNull(s.OccurredAt), MemberID: orNull(s.MemberID), DeliveryKey: orNull(s.DeliveryKey),
			JustCreated: s.Fresh, Body: s.Body,
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		outcome, err = db.Trip().ReceiveSignal(ctx, params)
		if err != nil {
			return "", fmt.Errorf("receiving signal for account %q: %w", s.AccountID, err)
		}
		return outcome, nil
	}
}

// orNull is the way from Go's "not said" to SQL's.
func orNull[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}
