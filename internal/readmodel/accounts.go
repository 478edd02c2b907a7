package readmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// An Account is a connected login, and how many of its prospects wait.
type Account struct {
	ID          int64      `json:"id"`
	Workspace   string     `json:"workspace"` // its key
	Provider    string     `json:"provider"`
	Account     string     `json:"account"` // the provider's id
	Name        string     `json:"name"`    // empty: it has none
	Member      *string    `json:"member"`  // the person behind it; nil: not known
	Status      string     `json:"status"`
	StatusAt    *time.Time `json:"status_at"` // when the newest signal was true; nil: there was none
	ConnectedAt *time.Time `json:"connected_at"`
	LastError   *string    `json:"last_error"`
	PauseAfter  *time.Time `json:"pause_after"` // when its prospects will be paused; nil: nothing is due
	HoldUntil   *time.Time `json:"hold_until"`
	HoldReason  *string    `json:"hold_reason"`
	// LockedAt is since when the provider has locked the account, which its status does not say; nil: it is not locked.
	LockedAt     *time.Time `json:"locked_at"`
	LockedReason *string    `json:"locked_reason"` // the provider's own term

	// Paused counts its paused prospects, ByReason by why.
	Paused   int64            `json:"paused"`
	ByReason map[string]int64 `json:"by_reason"`
	// Resumable is how many of them a sweep may resume now.
	Resumable int64 `json:"resumable"`
	// ResumesThrough is the id of the account through which they resume: its own, or a sibling's; nil: there is none.
	ResumesThrough *int64 `json:"resumes_through"`
	// BlockedBy is what stands against that account: account_locked, account_on_hold, safety_mode,
	// account_flapping or auto_resume_off; nil: nothing.
	BlockedBy *string `json:"blocked_by"`
}

// AccountFilter leaves the accounts that fit all that is set.
type AccountFilter struct {
	Account    string // the provider's id
	Status     string
	HasBacklog bool // somebody waits for an account
}

// An AccountDetail is an account with what is around it.
type AccountDetail struct {
	Account
	// Products are those products of the account for which the provider reports a status of their own, by name.
	Products []Product `json:"products"`
	// Siblings are the other accounts of the same person in the same workspace.
	Siblings []Account `json:"siblings"`
	// Expected are the next ticks that resume somebody through the account that its prospects resume through, those of its siblings
	// among them; at most ten. DrainedAt is the last such tick; nil: nobody waits, or it is beyond the horizon.
	Expected  []ExpectedTick `json:"expected"`
	DrainedAt *time.Time     `json:"drained_at"`
	// NotDrainedBefore is set where the last such tick is beyond the forecast: it is not before this one.
	NotDrainedBefore *time.Time `json:"not_drained_before"`
	// Forecast says of which moment Expected and DrainedAt are; nil: nothing is expected, or it was not known in time.
	Forecast *ForecastInfo `json:"forecast"`
}

// A Product is a part of an account, such as sales_navigator, for which the provider reports a status of its own. It neither takes
// the account nor gives it back.
type Product struct {
	Product   string     `json:"product"`
	Status    string     `json:"status"`
	RawStatus string     `json:"raw_status"` // the provider's own term
	StatusAt  time.Time  `json:"status_at"`  // when the newest signal was true
	DownSince *time.Time `json:"down_since"` // when it stopped working; nil: it works
}

// An ExpectedTick is what a coming tick is expected to resume, if nothing else changes.
type ExpectedTick struct {
	TickAt  time.Time `json:"tick_at"`
	Resumes int       `json:"resumes"`
}

// expectedTicks is how many coming ticks of an account are told.
const expectedTicks = 10

// Accounts returns a page of accounts, by workspace and id.
func Accounts(ctx context.Context, db *pgxpool.Pool, s Scope, f AccountFilter, p Paging) (Page[Account], error) {
	var page Page[Account]
	err := read(ctx, db, func(q *dbsqlc.Queries) error {
		if f.Account != "" {
			ids, err := accountIDs(ctx, q, s, f.Account)
			if err != nil {
				return err
			}
			page.Items, err = accountsOf(ctx, q, s, ids)
			page.Items = f.apply(page.Items)
			return err
		}
		const list = "accounts"
		from, err := after(p, list, inWorkspace{Workspace: s.first})
		if err != nil {
			return err
		}
		params := dbsqlc.AccountKeysParams{
			AfterWorkspace: from.Workspace, AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last,
			HasBacklog: f.HasBacklog, Size: p.size(),
		}
		if f.Status != "" {
			params.Status = &f.Status
		}
		rows, err := q.AccountKeys(ctx, params)
		if err != nil {
			return err
		}
		keys, err := paged(p, list, rows, func(r dbsqlc.AccountKeysRow) int64 { return r.ID },
			func(r dbsqlc.AccountKeysRow) inWorkspace { return inWorkspace{r.WorkspaceID, r.ID} })
		if err != nil {
			return err
		}
		page.NextCursor = keys.NextCursor
		page.Items, err = accountsOf(ctx, q, s, keys.Items)
		return err
	})
	if err != nil {
		return Page[Account]{}, fmt.Errorf("listing accounts: %w", err)
	}
	return page, nil
}

// AccountIDs returns the accounts that a provider calls so; several where two providers do.
func AccountIDs(ctx context.Context, db *pgxpool.Pool, s Scope, account string) ([]int64, error) {
	return accountIDs(ctx, dbsqlc.New(db), s, account)
}

func accountIDs(ctx context.Context, q *dbsqlc.Queries, s Scope, account string) ([]int64, error) {
	ids, err := q.AccountIDsNamed(ctx, dbsqlc.AccountIDsNamedParams{Account: account, FirstWorkspace: s.first, LastWorkspace: s.last})
	if err != nil {
		return nil, fmt.Errorf("looking for account %q: %w", account, err)
	}
	return ids, nil
}

// apply leaves the accounts that fit, where they were found by name.
func (f AccountFilter) apply(accounts []Account) []Account {
	fitting := []Account{}
	for _, a := range accounts {
		waits := a.ByReason["linkedin_account_disconnected"]+a.ByReason["linkedin_account_issue"] > 0
		if (f.Status == "" || a.Status == f.Status) && (!f.HasBacklog || waits) {
			fitting = append(fitting, a)
		}
	}
	return fitting
}

// AccountByID returns an account with what is around it, or [ErrNotFound].
func (f *Reader) AccountByID(ctx context.Context, s Scope, id int64) (AccountDetail, error) {
	var detail AccountDetail
	err := read(ctx, f.db, func(q *dbsqlc.Queries) error {
		found, err := accountsOf(ctx, q, s, []int64{id})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		detail.Account = found[0]
		products, err := productsOf(ctx, q, []int64{id})
		if err != nil {
			return err
		}
		detail.Products = append([]Product{}, products[id]...)
		siblings, err := q.SiblingKeys(ctx, id)
		if err != nil {
			return err
		}
		detail.Siblings, err = accountsOf(ctx, q, s, siblings)
		return err
	})
	if err == nil {
		err = detail.expect(ctx, f)
	}
	if err != nil {
		return AccountDetail{}, fmt.Errorf("account %d: %w", id, err)
	}
	return detail, nil
}

// expect adds the coming ticks. The forecast is about the whole fleet: asked for only if somebody waits.
func (d *AccountDetail) expect(ctx context.Context, reader *Reader) error {
	d.Expected = []ExpectedTick{}
	if d.ResumesThrough == nil || d.BlockedBy != nil {
		return nil
	}
	seen, err := reader.now(ctx)
	if err != nil {
		return err
	}
	drained := seen.drained(*d.ResumesThrough)
	d.Expected, d.DrainedAt, d.NotDrainedBefore, d.Forecast = seen.next(*d.ResumesThrough), drained.At, drained.NotBefore, seen.info()
	return nil
}

// accountsOf returns the accounts with these ids that are within the scope.
func accountsOf(ctx context.Context, q *dbsqlc.Queries, s Scope, ids []int64) ([]Account, error) {
	accounts := []Account{}
	if len(ids) == 0 {
		return accounts, nil
	}
	rows, err := q.AccountsOf(ctx, dbsqlc.AccountsOfParams{Ids: ids, FirstWorkspace: s.first, LastWorkspace: s.last})
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	for _, r := range rows {
		a := Account{
			ID: r.ID, Workspace: r.Workspace, Provider: r.Provider, Account: r.Account, Name: r.Name, Member: r.MemberID,
			Status: r.Status, StatusAt: utc(r.StatusAt), ConnectedAt: utc(r.ConnectedAt), LastError: r.LastError,
			PauseAfter: utc(r.PauseAfter), HoldUntil: utc(r.HoldUntil), HoldReason: r.HoldReason,
			LockedAt: utc(r.LockedAt), LockedReason: r.LockedReason,
			Paused: r.Paused, Resumable: r.Resumable, ResumesThrough: orNil(r.TargetID), BlockedBy: orNil(r.BlockedBy),
		}
		if err := json.Unmarshal(r.ByReason, &a.ByReason); err != nil {
			return nil, fmt.Errorf("reading reasons: %w", err)
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

// productsOf returns the products of accounts, by the id of the account.
func productsOf(ctx context.Context, q *dbsqlc.Queries, accountIDs []int64) (map[int64][]Product, error) {
	rows, err := q.ProductsOf(ctx, accountIDs)
	if err != nil {
		return nil, fmt.Errorf("reading products: %w", err)
	}
	products := make(map[int64][]Product)
	for _, r := range rows {
		products[r.AccountID] = append(products[r.AccountID], Product{
			Product: r.Product, Status: r.Status, RawStatus: r.RawStatus, StatusAt: r.StatusAt.UTC(), DownSince: utc(r.DownSince),
		})
	}
	return products, nil
}

// orNil turns the query's word for missing into the API's.
func orNil[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

// A Signal is what the provider said about an account, and what came of it.
type Signal struct {
	ID          int64      `json:"id"`
	ReceivedAt  time.Time  `json:"received_at"`
	OccurredAt  *time.Time `json:"occurred_at"` // nil: the provider does not say
	RawStatus   string     `json:"raw_status"`  // the provider's own word
	Status      *string    `json:"status"`      // nil: a word that means no status
	Outcome     string     `json:"outcome"`     // applied, duplicate, stale, unknown_account, ignored
	DuplicateOf *int64     `json:"duplicate_of"`
	Verdict     *string    `json:"verdict"` // what came of the pass that it asked for; nil: none was, or is not done
	Resumed     *int       `json:"resumed"` // how many that pass resumed
}

// Signals returns a page of what was said about an account, newest first.
func Signals(ctx context.Context, db *pgxpool.Pool, s Scope, accountID int64, p Paging) (Page[Signal], error) {
	var page Page[Signal]
	err := ofAccount(ctx, db, s, accountID, func(q *dbsqlc.Queries) error {
		const list = "signals"
		from, err := after(p, list, beforeAny)
		if err != nil {
			return err
		}
		rows, err := q.AccountSignals(ctx, dbsqlc.AccountSignalsParams{
			AccountID: accountID, FirstWorkspace: s.first, LastWorkspace: s.last, BeforeID: from.ID, Size: p.size(),
		})
		if err != nil {
			return err
		}
		page, err = paged(p, list, rows, signal, func(r dbsqlc.AccountSignalsRow) newest { return newest{r.ID} })
		return err
	})
	if err != nil {
		return Page[Signal]{}, fmt.Errorf("signals of account %d: %w", accountID, err)
	}
	return page, nil
}

func signal(r dbsqlc.AccountSignalsRow) Signal {
	return Signal{
		ID: r.ID, ReceivedAt: r.ReceivedAt.UTC(), OccurredAt: utc(r.OccurredAt), RawStatus: r.RawStatus, Status: orNil(r.Status),
		Outcome: r.Outcome, DuplicateOf: r.DuplicateOf, Verdict: r.Verdict, Resumed: number(r.Resumed),
	}
}

// number lets a count that may be missing be one of Go's.
func number(n *int32) *int {
	if n == nil {
		return nil
	}
	count := int(*n)
	return &count
}

// ofAccount reads something of an account, which must be there within the scope.
func ofAccount(ctx context.Context, db *pgxpool.Pool, s Scope, id int64, do func(q *dbsqlc.Queries) error) error {
	return read(ctx, db, func(q *dbsqlc.Queries) error {
		seen, err := q.AccountIsSeen(ctx, dbsqlc.AccountIsSeenParams{AccountID: id, FirstWorkspace: s.first, LastWorkspace: s.last})
		switch {
		case err != nil:
			return err
		case !seen:
			return ErrNotFound
		}
		return do(q)
	})
}
