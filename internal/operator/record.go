package operator

import (
	"context"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/store"
)

// Record writes an action that works in many transactions to the audit log, before it starts.
// detail says what exactly, such as the name of a file. The reason is optional for some kinds.
func (o *Operator) Record(ctx context.Context, what enum.ActionKind, detail, reason string) (id int64, err error) {
	if err := o.forOperators("take this action"); err != nil {
		return 0, err
	}
	return o.store.Trip().RecordAction(ctx, dbsqlc.RecordActionParams{What: string(what), Actor: o.actor, Detail: detail, Reason: store.OrNil(reason)})
}

// RecordProspects adds to a recorded action how many prospects it has changed.
func (o *Operator) RecordProspects(ctx context.Context, id, prospects int64) error {
	_, err := o.store.Trip().RecordProspects(context.WithoutCancel(ctx), dbsqlc.RecordProspectsParams{ID: id, Prospects: int32(prospects)})
	return err
}

// RevokeToken revokes a token of the API and returns its name. isChanged is false if it was revoked
// already.
func (o *Operator) RevokeToken(ctx context.Context, id int64, reason string) (name string, isChanged bool, err error) {
	if err := o.forOperators("revoke a token"); err != nil {
		return "", false, err
	}
	row, err := o.store.Trip().RevokeToken(ctx, dbsqlc.RevokeTokenParams{ID: id, Reason: reason, Actor: o.actor})
	if err == nil && row.Name == "" {
		err = notFound("Run \"thaw token list\" to list the tokens.", "token %d does not exist", id)
	}
	return row.Name, row.IsChanged, err
}
