package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
)

type reconcileCmd struct {
	database `embed:""`
	File     string `help:"CSV file with the columns account, status, at, and optionally provider and member; - reads standard input." placeholder:"FILE" required:""`
	Apply    bool   `help:"Apply the differences. Without this flag nothing changes."`
	Reason   string `help:"Reason, for the audit log." placeholder:"TEXT"`
	JSON     bool   `help:"Print JSON Lines: one object per difference, then the counts."`
}

func (reconcileCmd) Help() string {
	return "Prints the differences between the accounts and a list that was exported from the provider. With --apply it applies each difference as a signal with the time in the list. " +
		"The rules of the webhooks apply: if the status in Thaw is newer than the list, it does not change. Accounts that are not in the list are ignored. Exits with 1 if a line is invalid.\n\n" +
		"Columns: account (the provider's ID), status (connected, disconnected, …, or a word of the provider), at (the time of the status), provider (default linkedin), member.\n\n" +
		"Example:\n  thaw reconcile --file accounts.csv\n  thaw reconcile --file accounts.csv --apply"
}

// reconcileAtOnce is how many accounts one query compares.
const reconcileAtOnce = 1000

// A difference is the JSON output for an account whose status differs from the list.
type difference struct {
	Line     int        `json:"line"`
	Provider string     `json:"provider"`
	Account  string     `json:"account"`
	Status   *string    `json:"status"`    // in Thaw; nil: account not found
	StatusAt *time.Time `json:"status_at"` // nil: no signal received yet
	Listed   string     `json:"listed"`
	ListedAt time.Time  `json:"listed_at"`
	// Outcome of the signal, or its expected outcome without --apply: applied, stale (the status in
	// Thaw is newer), duplicate, unknown_account, ignored (unknown status).
	Outcome string `json:"outcome"`

	signal webhook.Signal
	means  string // what Listed means; empty: unknown
}

func (c *reconcileCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		in, err := openInput(c.File, e.stdin)
		if err != nil {
			return err
		}
		defer in.Close()
		if c.Apply {
			if _, err := operate(db).Record(ctx, enum.ActionReconciled, inputDetail(c.File), c.Reason); err != nil {
				return err
			}
		}
		run := &reconciliation{cmd: c, env: e, db: db, counts: map[string]int64{}}
		run.table = tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		var batch []difference
		for row, err := range csvRows(in, []string{"account", "status", "at", "provider", "member"}, "provider", "member") {
			if err != nil {
				return fmt.Errorf("reading %s: %w", c.File, err)
			}
			listed, err := listedAccount(row)
			if err != nil {
				printf(e.stderr, "line %d: %s\n", row.line, err)
				run.counts["refused"]++
				continue
			}
			if batch = append(batch, listed); len(batch) == reconcileAtOnce {
				if err := run.compare(ctx, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
		if err := run.compare(ctx, batch); err != nil {
			return err
		}
		return run.conclude()
	})
}

// listedAccount turns a row into a signal of the Standard Webhooks route, which takes Thaw's own
// statuses and the words of the provider. The ID names the source, and makes a repeated row a
// duplicate.
func listedAccount(row csvRow) (difference, error) {
	if row.err != nil {
		return difference{}, row.err
	}
	d := difference{Line: row.line, Provider: strings.ToLower(row.field["provider"]), Account: row.field["account"], Listed: row.field["status"]}
	if d.Provider == "" {
		d.Provider = "linkedin"
	}
	var err error
	if d.ListedAt, err = timeOf("at", row.field["at"]); err != nil {
		return d, err
	}
	body, err := json.Marshal(map[string]any{
		"type": "account.status", "timestamp": d.ListedAt.Format(time.RFC3339Nano), "source": "reconcile:" + actor(),
		"data": map[string]string{"provider": d.Provider, "account": d.Account, "status": d.Listed, "member_id": row.field["member"]},
	})
	if err != nil {
		return d, err
	}
	hash := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", d.Provider, d.Account, d.Listed, d.ListedAt.UnixMicro()))
	d.signal, err = webhook.Decode(webhook.Record{Route: "standard", ID: "reconcile:" + hex.EncodeToString(hash[:]), ReceivedAt: d.ListedAt, Body: body})
	return d, err
}

// A reconciliation prints differences and counts outcomes.
type reconciliation struct {
	cmd     *reconcileCmd
	env     *env
	db      *store.Store
	table   *tabwriter.Writer
	printed bool
	counts  map[string]int64
}

func (r *reconciliation) compare(ctx context.Context, batch []difference) error {
	var params dbsqlc.AccountStatusesParams
	for _, d := range batch {
		params.Providers, params.Accounts = append(params.Providers, d.Provider), append(params.Accounts, d.Account)
		params.Words = append(params.Words, d.Listed)
	}
	known, err := r.db.Read().AccountStatuses(ctx, params)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	for _, row := range known {
		d := &batch[row.Place-1]
		d.means = row.Means
		if row.Status != "" {
			d.Status, d.StatusAt = &row.Status, utc(row.StatusAt)
		}
	}
	for i := range batch {
		d := &batch[i]
		if d.means == "" {
			printf(r.env.stderr, "line %d: status %q is unknown to provider %s: it must be one of %s, or a word of the provider in the table thaw.provider_words\n",
				d.Line, d.Listed, d.Provider, strings.Join(enum.Names(enum.AccountStatuses), ", "))
			r.counts["refused"]++
			continue
		}
		if d.Status != nil && *d.Status == d.means {
			r.counts["same"]++
			continue
		}
		// Without --apply the signal is applied and rolled back, so that the reported outcome is
		// exact.
		if d.Outcome, err = receiveSignal(ctx, r.db, d.signal, !r.cmd.Apply); err != nil {
			return fmt.Errorf("line %d, account %q: %w; running the command again is safe", d.Line, d.Account, err)
		}
		r.counts[d.Outcome]++
		if err := r.print(d); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciliation) print(d *difference) error {
	if r.cmd.JSON {
		return newJSONEncoder(r.env.stdout).Encode(d)
	}
	if !r.printed {
		printf(r.table, "ACCOUNT\tSTATUS\tSINCE\tLISTED\tAT\tOUTCOME\n")
		r.printed = true
	}
	here := "not found"
	if d.Status != nil {
		here = *d.Status
	}
	printf(r.table, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Account, here, stampOr(d.StatusAt, "-"), d.Listed, stamp(d.ListedAt), d.Outcome)
	return nil
}

func (r *reconciliation) conclude() error {
	if err := r.table.Flush(); err != nil {
		return err
	}
	if r.cmd.JSON {
		if err := newJSONEncoder(r.env.stdout).Encode(map[string]any{"dry_run": !r.cmd.Apply, "counts": r.counts}); err != nil {
			return err
		}
	} else {
		printf(r.env.stdout, "%s\n", countsText(r.counts))
		if !r.cmd.Apply && r.counts["applied"] > 0 {
			printf(r.env.stdout, "Nothing changed. Run the command with --apply to apply %s.\n", many(r.counts["applied"], "difference"))
		}
	}
	if r.counts["refused"] > 0 {
		return errSilent
	}
	return nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}
