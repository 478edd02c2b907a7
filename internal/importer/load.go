package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// slicePages is how many pages (8 KiB each) of a staged table form a slice: about 5,000 rows of
// typical length.
const slicePages = 128

// A loader moves staged rows into the fleet. It reads them in the staging transaction, and writes
// each slice in its own transaction on a connection of pool.
type loader struct {
	staging pgx.Tx
	pool    *pgxpool.Pool
	// began is the start of the import, and asOf the time of the file. Changes after asOf are newer
	// than the file.
	began, asOf time.Time
	overwrite   bool
	result      Result
}

// A slice is a part of a staged table in the COPY format.
type slice struct {
	tx   pgx.Tx
	data *bytes.Buffer
}

// Which changes of accounts and campaigns a transaction applies: those that stop them, or those
// that start them.
const (
	stops  = "stop"
	starts = "start"
)

const (
	accountColumns        = "provider, account, workspace, member, status"
	accountDetailColumns  = "provider, account, workspace, name, timezone, tier, ramp_started_on, external_id, workspace_name, workspace_external_id"
	campaignColumns       = "workspace, campaign, status, paused_reason"
	campaignDetailColumns = "workspace, campaign, name, external_id"
	rowColumns            = "workspace, provider, account, campaign, prospect_url, external_id, status, paused_reason, paused_at, step, next_action_at, next_kind"
)

// IncompleteError is the error of an import that ended after some of its transactions. Importing
// the same file again loads the rest.
type IncompleteError struct {
	// Loaded is the number of committed rows, of Rows in the file.
	Loaded, Rows int64
	Err          error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%s; %d of %d rows are loaded: import the same file again to load the rest", e.Err, e.Loaded, e.Rows)
}

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Err }

// load runs the transactions: first the changes that stop accounts and campaigns, then the rows,
// then the changes that start them.
func (l *loader) load(ctx context.Context) error {
	var loaded int64
	err := l.each(ctx, "import_accounts", accountColumns, stops, func(s slice) error {
		return s.run(ctx, "chunk_accounts", "import_accounts", accountColumns, "accounts_new", "accounts_known")
	})
	if err == nil {
		err = l.each(ctx, "import_campaigns", campaignColumns, stops, func(s slice) error {
			return s.run(ctx, "chunk_campaigns", "import_campaigns", campaignColumns, "campaigns_new", "campaigns_known")
		})
	}
	if err == nil {
		err = l.details(ctx)
	}
	if err == nil {
		err = l.rows(ctx, &loaded)
	}
	if err == nil {
		err = l.each(ctx, "import_accounts", accountColumns, starts, func(s slice) error {
			if err := s.run(ctx, "chunk_accounts", "import_accounts", accountColumns, "accounts_known", "accounts_lost"); err != nil {
				return err
			}
			return s.count(ctx, "accounts_kept", &l.result.KeptAccounts, &l.result.NewerAccounts)
		})
	}
	if err == nil {
		err = l.each(ctx, "import_campaigns", campaignColumns, starts, func(s slice) error {
			if err := s.run(ctx, "chunk_campaigns", "import_campaigns", campaignColumns, "campaigns_known"); err != nil {
				return err
			}
			return s.count(ctx, "campaigns_kept", &l.result.KeptCampaigns, &l.result.NewerCampaigns)
		})
	}
	if err != nil {
		return &IncompleteError{Loaded: loaded, Rows: l.result.Enrollments, Err: err}
	}
	l.result.Unchanged = l.result.Enrollments - l.result.Inserted - l.result.Updated
	return nil
}

// counts counts the distinct objects in the file.
func (l *loader) counts(ctx context.Context) error {
	return l.staging.QueryRow(ctx, `
		SELECT (SELECT count(DISTINCT a.workspace) FROM import_accounts AS a), (SELECT count(*) FROM import_accounts),
			(SELECT count(*) FROM import_campaigns), (SELECT count(*) FROM import_rows)`).
		Scan(&l.result.Workspaces, &l.result.Accounts, &l.result.Campaigns, &l.result.Enrollments)
}

// details sets names, time zones, tiers, ramps and the platform's own IDs, if the file has any.
// They are set in transactions of their own, so that each locks its rows by one statement, in the
// order of their IDs.
func (l *loader) details(ctx context.Context) error {
	var ofAccounts, ofCampaigns bool
	err := l.staging.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM import_accounts AS a
				WHERE num_nonnulls(a.name, a.timezone, a.tier, a.ramp_started_on, a.external_id, a.workspace_name, a.workspace_external_id) > 0),
			EXISTS (SELECT FROM import_campaigns AS c WHERE num_nonnulls(c.name, c.external_id) > 0)`).Scan(&ofAccounts, &ofCampaigns)
	if err == nil && ofAccounts {
		err = l.each(ctx, "import_accounts", accountDetailColumns, "", func(s slice) error {
			return s.run(ctx, "chunk_account_details", "import_account_details", accountDetailColumns, "account_details")
		})
	}
	if err == nil && ofCampaigns {
		err = l.each(ctx, "import_campaigns", campaignDetailColumns, "", func(s slice) error {
			return s.run(ctx, "chunk_campaign_details", "import_campaign_details", campaignDetailColumns, "campaign_details")
		})
	}
	return err
}

// rows loads the enrollments.
func (l *loader) rows(ctx context.Context, loaded *int64) error {
	return l.each(ctx, "import_rows", rowColumns, "", func(s slice) error {
		if err := s.run(ctx, "chunk_rows", "import_slice", rowColumns, "slice"); err != nil {
			return err
		}
		if _, err := run(ctx, s.tx, "enrollments_changes"); err != nil {
			return err
		}
		updated, err := run(ctx, s.tx, "enrollments_known")
		if err != nil {
			return err
		}
		inserted, err := run(ctx, s.tx, "enrollments_new")
		if err != nil {
			return err
		}
		var kept, resumed, newer, rows int64
		if err := s.count(ctx, "kept", &kept, &resumed, &newer); err != nil {
			return err
		}
		if err := s.tx.QueryRow(ctx, "SELECT count(*) FROM import_rows").Scan(&rows); err != nil {
			return err
		}
		l.result.Updated += updated.RowsAffected()
		l.result.Inserted += inserted.RowsAffected()
		l.result.KeptEnrollments += kept
		l.result.ResumedSince += resumed
		l.result.NewerEnrollments += newer
		*loaded += rows
		return nil
	})
}

// each calls do for each slice of a staged table in turn, each in its own transaction.
func (l *loader) each(ctx context.Context, table, columns, half string, do func(slice) error) error {
	var pages int64
	err := l.staging.QueryRow(ctx, "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", table).Scan(&pages)
	if err != nil {
		return err
	}
	// Slices may commit asynchronously: the last transactions of an import wait for the disk, which
	// includes all earlier commits.
	synchronous, overwrites := "on", "off"
	if half == "" {
		synchronous = "off"
	}
	if l.overwrite {
		overwrites = "on"
	}
	for page := int64(0); page < pages; page += slicePages {
		var data bytes.Buffer
		_, err := l.staging.Conn().PgConn().CopyTo(ctx, &data, fmt.Sprintf(
			"COPY (SELECT %s FROM %s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)') TO STDOUT (FORMAT binary)",
			columns, table, page, page+slicePages))
		if err != nil {
			return fmt.Errorf("reading the staged rows: %w", err)
		}
		err = pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, statement("options"), overwrites, l.began.Format(time.RFC3339Nano), half, synchronous,
				l.asOf.Format(time.RFC3339Nano)); err != nil {
				return fmt.Errorf("importing (step options): %w", err)
			}
			return do(slice{tx, &data})
		})
		if err != nil && !errors.Is(err, errPreviewed) {
			return err
		}
	}
	return nil
}

// run creates and fills the table of the slice, then executes the steps.
func (s slice) run(ctx context.Context, create, table, columns string, steps ...string) error {
	if _, err := run(ctx, s.tx, create); err != nil {
		return err
	}
	copied := fmt.Sprintf("COPY pg_temp.%s (%s) FROM STDIN (FORMAT binary)", table, columns)
	if _, err := s.tx.Conn().PgConn().CopyFrom(ctx, s.data, copied); err != nil {
		return fmt.Errorf("copying a slice into the database: %w", err)
	}
	for _, step := range steps {
		if _, err := run(ctx, s.tx, step); err != nil {
			return err
		}
	}
	return nil
}

// count adds the counts of a query to the totals.
func (s slice) count(ctx context.Context, step string, totals ...*int64) error {
	counted, into := make([]int64, len(totals)), make([]any, len(totals))
	for i := range counted {
		into[i] = &counted[i]
	}
	if err := s.tx.QueryRow(ctx, statement(step)).Scan(into...); err != nil {
		return fmt.Errorf("importing (step %s): %w", step, err)
	}
	for i, total := range totals {
		*total += counted[i]
	}
	return nil
}
