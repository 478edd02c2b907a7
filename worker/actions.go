package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// logActions writes the recorded actions of people and of the safety monitor to the log, one line
// each. They come from the audit log, because people also act through SQL, commands and other
// processes.
func (d *watchdog) logActions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var actions []dbsqlc.ActionsToLogRow
	err := d.store.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		actions, err = q.ActionsToLog(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading recorded actions: %w", err)
	}
	for _, action := range actions {
		d.logger.LogAttrs(ctx, slog.LevelInfo, "action recorded", attributes(action)...)
	}
	return nil
}

// attributes returns what is known about an action, without what does not apply to it.
func attributes(action dbsqlc.ActionsToLogRow) []slog.Attr {
	line := []slog.Attr{
		slog.Int64("action_id", action.ID), slog.Time("at", action.At.UTC()), slog.String("what", action.What), slog.String("actor", action.Actor),
	}
	for _, field := range []struct{ name, value string }{
		{"reason", action.Reason}, {"detail", action.Detail}, {"workspace", action.Workspace}, {"account", action.Account}, {"campaign", action.Campaign},
		{"prospect_url", action.ProspectUrl},
	} {
		if field.value != "" {
			line = append(line, slog.String(field.name, field.value))
		}
	}
	for _, field := range []struct {
		name  string
		value *int32
	}{{"prospects", action.Enrollments}, {"accounts_lost", action.AccountsLost}, {"accounts_connected", action.AccountsConnected}} {
		if field.value != nil {
			line = append(line, slog.Int(field.name, int(*field.value)))
		}
	}
	for _, field := range []struct {
		name string
		id   *int64
	}{{"heal_id", action.HealID}, {"undoes", action.Undoes}} {
		if field.id != nil {
			line = append(line, slog.Int64(field.name, *field.id))
		}
	}
	if action.Until != nil {
		line = append(line, slog.String("until", action.Until.UTC().Format(time.RFC3339)))
	}
	return line
}
