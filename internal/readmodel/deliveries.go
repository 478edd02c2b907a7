package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Delivery is a signal from a provider, also about an account that does not exist.
type Delivery struct {
	Signal
	Provider    string `json:"provider"`
	Account     string `json:"account"`    // the provider account ID
	AccountID   *int64 `json:"account_id"` // nil if there is no such account
	AccountName string `json:"account_name"`
	Workspace   string `json:"workspace"`
	Kind        string `json:"kind"`    // thaw.signal_kind
	Product     string `json:"product"` // empty: about the whole account
	HasBody     bool   `json:"has_body"`
}

// A DeliveryDetail is a delivery with what the provider sent.
type DeliveryDetail struct {
	Delivery
	DeliveryKey string     `json:"delivery_key"` // identifies a repeated delivery; empty if there is none
	MemberID    string     `json:"member_id"`
	FinishedAt  *time.Time `json:"finished_at"` // of its pass; nil if none, or not done
	Body        string     `json:"body"`        // indented JSON; empty if it was not kept or may not be seen
}

// DeliveryFilter selects the deliveries that match all fields that are set.
type DeliveryFilter struct {
	Outcome  string
	Provider string
	Account  string // the provider account ID; requires Provider
}

// A DeliveryPage is a page of deliveries.
type DeliveryPage struct {
	Page[Delivery]
	// SearchedTo is the time of the oldest delivery that was looked at, if the page ends before it
	// is full: the next page continues there.
	SearchedTo *time.Time `json:"searched_to"`
}

// deliveryScan is how many deliveries a page with filters looks at.
const deliveryScan = 2000

// Deliveries returns a page of the deliveries of all providers, newest first. Within the scope of
// one workspace, it has only those about its accounts.
func Deliveries(ctx context.Context, db *store.Store, s Scope, f DeliveryFilter, p Paging) (page DeliveryPage, err error) {
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		page, err = deliveries(ctx, q, s, f, p)
		return err
	})
	if err != nil {
		return DeliveryPage{}, fmt.Errorf("listing signals: %w", err)
	}
	return page, nil
}

func deliveries(ctx context.Context, q *dbsqlc.Queries, s Scope, f DeliveryFilter, p Paging) (page DeliveryPage, err error) {
	const list = "deliveries"
	from, err := after(p, list, beforeAny)
	if err != nil {
		return page, err
	}
	if f.Account != "" {
		rows, err := q.SignalsOfProviderAccount(ctx, dbsqlc.SignalsOfProviderAccountParams{
			Provider: f.Provider, Account: f.Account, Outcome: f.Outcome, BeforeID: from.ID, Size: p.size(),
			FirstWorkspace: s.first, LastWorkspace: s.last,
		})
		if err != nil {
			return page, err
		}
		page.Page, err = paged(p, list, rows, func(r dbsqlc.SignalsOfProviderAccountRow) Delivery { return delivery(dbsqlc.SignalPageRow(r)) },
			func(r dbsqlc.SignalsOfProviderAccountRow) newest { return newest{r.ID} })
		return page, err
	}
	scan, isFiltered := p.size(), f != (DeliveryFilter{}) || s != Everything()
	if isFiltered {
		scan = deliveryScan
	}
	rows, err := q.SignalPage(ctx, dbsqlc.SignalPageParams{
		BeforeID: from.ID, Scan: scan, Outcome: f.Outcome, Provider: f.Provider, FirstWorkspace: s.first, LastWorkspace: s.last, Size: p.size(),
	})
	if err != nil {
		return page, err
	}
	page.Page, err = paged(p, list, rows, delivery, func(r dbsqlc.SignalPageRow) newest { return newest{r.ID} })
	if err != nil || page.NextCursor != nil || !isFiltered {
		return page, err
	}
	end, err := q.SignalScanEnd(ctx, dbsqlc.SignalScanEndParams{BeforeID: from.ID, Scan: scan})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return page, nil
	case err != nil:
		return page, err
	}
	page.SearchedTo = utc(&end.ReceivedAt)
	cursor, err := cursorOf(list, newest{end.ID})
	page.NextCursor = &cursor
	return page, err
}

// DeliveryByID returns a delivery, or [ErrNotFound]. Only an operator sees its body.
func DeliveryByID(ctx context.Context, db *store.Store, s Scope, id int64) (DeliveryDetail, error) {
	r, err := db.Read().SignalDetail(ctx, dbsqlc.SignalDetailParams{ID: id, FirstWorkspace: s.first, LastWorkspace: s.last})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
		fallthrough
	case err != nil:
		return DeliveryDetail{}, fmt.Errorf("signal %d: %w", id, err)
	}
	if s.IsOneWorkspace() {
		r.Body = ""
	}
	return DeliveryDetail{
		Delivery: delivery(dbsqlc.SignalPageRow{
			ID: r.ID, ReceivedAt: r.ReceivedAt, OccurredAt: r.OccurredAt, Provider: r.Provider, Account: r.Account, RawStatus: r.RawStatus,
			Status: r.Status, Kind: r.Kind, Product: r.Product, Outcome: r.Outcome, DuplicateOf: r.DuplicateOf, Verdict: r.Verdict,
			Resumed: r.Resumed, HasBody: r.HasBody, AccountID: r.AccountID, AccountName: r.AccountName, Workspace: r.Workspace,
		}),
		DeliveryKey: r.DeliveryKey, MemberID: r.MemberID, FinishedAt: utc(r.FinishedAt), Body: r.Body,
	}, nil
}

func delivery(r dbsqlc.SignalPageRow) Delivery {
	return Delivery{
		Signal: Signal{
			ID: r.ID, ReceivedAt: r.ReceivedAt.UTC(), OccurredAt: utc(r.OccurredAt), RawStatus: r.RawStatus, Status: store.OrNil(r.Status),
			Outcome: r.Outcome, DuplicateOf: r.DuplicateOf, Verdict: r.Verdict, Resumed: number(r.Resumed),
		},
		Provider: r.Provider, Account: r.Account, AccountID: r.AccountID, AccountName: r.AccountName, Workspace: r.Workspace,
		Kind: r.Kind, Product: r.Product, HasBody: r.HasBody,
	}
}

// ProviderOf returns the provider of the account with a provider account ID. If there is no such
// account, or several providers use the ID, the provider is "linkedin".
func ProviderOf(ctx context.Context, db *store.Store, account string) (string, error) {
	providers, err := db.Read().AccountProviders(ctx, account)
	if err != nil {
		return "", fmt.Errorf("looking for the provider of account %q: %w", account, err)
	}
	if len(providers) != 1 {
		return "linkedin", nil
	}
	return providers[0], nil
}
