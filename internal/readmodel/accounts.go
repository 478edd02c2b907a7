package readmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// An Account is a login at a provider, with counts of its paused prospects.
type Account struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"` // its key
	Provider  string `json:"provider"`
	// ProviderName is the provider's name for people, such as LinkedIn.
	ProviderName string     `json:"provider_name"`
	Account      string     `json:"account"`               // the provider account ID
	Name         string     `json:"name"`                  // empty if it has none
	ExternalID   string     `json:"external_id,omitempty"` // the platform's own ID; empty: none
	Member       *string    `json:"member"`                // the person who owns it; nil if unknown
	Status       string     `json:"status"`
	StatusAt     *time.Time `json:"status_at"` // when the status was last reported; nil if never
	ConnectedAt  *time.Time `json:"connected_at"`
	LastError    *string    `json:"last_error"`
	// Advice is what gets the account connected again; nil if it is connected.
	Advice     *string    `json:"advice"`
	PauseAfter *time.Time `json:"pause_after"` // when its prospects pause; nil if not due
	HoldUntil  *time.Time `json:"hold_until"`
	HoldReason *string    `json:"hold_reason"`
	// LockedAt is when the provider locked the account; nil if it is not locked. A lock does not
	// change Status.
	LockedAt     *time.Time `json:"locked_at"`
	LockedReason *string    `json:"locked_reason"` // the provider's raw value

	// Paused counts the account's paused prospects, ByReason the same by paused reason.
	Paused   int64            `json:"paused"`
	ByReason map[string]int64 `json:"by_reason"`
	// Resumable is how many of them a sweep may resume now.
	Resumable int64 `json:"resumable"`
	// ResumesThrough is the ID of the account that they resume through: this one or a sibling; nil
	// if there is none.
	ResumesThrough *int64 `json:"resumes_through"`
	// BlockedBy is what blocks that account: account_locked, account_on_hold, safety_mode,
	// account_flapping, account_parked, auto_resume_off or shadow_mode; nil if it is not blocked.
	BlockedBy *string `json:"blocked_by"`
}

// AccountFilter selects the accounts that match all fields that are set.
type AccountFilter struct {
	Account    string // the provider account ID, or the platform's own
	Status     string
	HasBacklog bool   // has prospects that wait for an account
	Blocked    string // one of AccountBlocks: what blocks the account
	// MostPausedFirst orders the list by the number of paused prospects, and leaves out accounts
	// without any. Otherwise it is ordered by workspace and ID.
	MostPausedFirst bool
}

// AccountBlocks are the blocks by which accounts can be listed. refusals: a kind of action is on
// hold because the provider refused it to several prospects.
var AccountBlocks = []string{"account_on_hold", "account_locked", "account_flapping", "account_stuck", "refusals"}

// inMostPaused is a position in the list of accounts with the most paused prospects.
type inMostPaused struct {
	Paused int64 `json:"paused"`
	ID     int64 `json:"id"`
}

// An AccountDetail is an account with its products, siblings and expected ticks.
type AccountDetail struct {
	Account
	// Products are the products of the account for which the provider reports a separate status, by
	// name.
	Products []Product `json:"products"`
	// Siblings are the other accounts of the same person in the same workspace.
	Siblings []Account `json:"siblings"`
	// Moves are the prospects that have not started and move to a connected account of the same
	// person: away from this account if it is gone, otherwise from its siblings to this one.
	Moves []Move `json:"moves"`
	// Expected are the next ticks, at most ten, that resume prospects through the account in
	// ResumesThrough, including prospects of its siblings. DrainedAt is the last such tick; nil if
	// none wait or it is beyond the horizon.
	Expected  []ExpectedTick `json:"expected"`
	DrainedAt *time.Time     `json:"drained_at"`
	// NotDrainedBefore is a lower bound for that tick if it is beyond the forecast.
	NotDrainedBefore *time.Time `json:"not_drained_before"`
	// Forecast describes the forecast behind Expected and DrainedAt; nil if nothing is expected or
	// there was no forecast in time.
	Forecast *ForecastInfo `json:"forecast"`
}

// A Move is prospects that have not started, on an account that is gone. They move to the connected
// account of the same person.
type Move struct {
	FromAccountID int64 `json:"from_account_id"`
	ToAccountID   int64 `json:"to_account_id"`
	// Prospects are counted up to maxCounted. With more, HasMore is true.
	Prospects int64 `json:"prospects"`
	HasMore   bool  `json:"-"`
	// StartsAt is the tick that moves the first of them; a pass moves a limited number. Nil: what
	// blocks the target, see BlockedBy, also prevents the move.
	StartsAt *time.Time `json:"starts_at"`
}

// A Product is a part of an account, such as sales_navigator, for which the provider reports a
// separate status. It does not change the status of the account.
type Product struct {
	Product   string     `json:"product"`
	Status    string     `json:"status"`
	RawStatus string     `json:"raw_status"` // the provider's raw value
	StatusAt  time.Time  `json:"status_at"`  // when the status was last reported
	DownSince *time.Time `json:"down_since"` // when it stopped working; nil if it works
}

// An ExpectedTick is how many prospects an upcoming tick is expected to resume, if nothing else
// changes.
type ExpectedTick struct {
	TickAt  time.Time `json:"tick_at"`
	Resumes int       `json:"resumes"`
}

// expectedTicks is the maximum number of upcoming ticks listed for an account.
const expectedTicks = 10

// Accounts returns a page of accounts in the order of the filter.
func Accounts(ctx context.Context, db *store.Store, s Scope, f AccountFilter, p Paging) (Page[Account], error) {
	var page Page[Account]
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		details := func(keys Page[int64]) (err error) {
			page.NextCursor = keys.NextCursor
			page.Items, err = accountsOf(ctx, q, s, keys.Items)
			return err
		}
		if f.Account != "" {
			ids, err := accountIDs(ctx, q, s, f.Account)
			if err != nil {
				return err
			}
			page.Items, err = accountsOf(ctx, q, s, ids)
			page.Items = f.apply(page.Items)
			return err
		}
		if f.MostPausedFirst {
			page, err := mostPausedAccounts(ctx, q, s, f, p)
			if err != nil {
				return err
			}
			return details(page)
		}
		const list = "accounts"
		from, err := after(p, list, inWorkspace{Workspace: s.first})
		if err != nil {
			return err
		}
		rows, err := q.AccountKeys(ctx, dbsqlc.AccountKeysParams{
			AfterWorkspace: from.Workspace, AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last,
			HasBacklog: f.HasBacklog, Status: store.OrNil(f.Status), Blocked: store.OrNil(f.Blocked), Size: p.size(),
		})
		if err != nil {
			return err
		}
		keys, err := paged(p, list, rows, func(r dbsqlc.AccountKeysRow) int64 { return r.ID },
			func(r dbsqlc.AccountKeysRow) inWorkspace { return inWorkspace{r.WorkspaceID, r.ID} })
		if err != nil {
			return err
		}
		return details(keys)
	})
	if err != nil {
		return Page[Account]{}, fmt.Errorf("listing accounts: %w", err)
	}
	return page, nil
}

func mostPausedAccounts(ctx context.Context, q *dbsqlc.Queries, s Scope, f AccountFilter, p Paging) (Page[int64], error) {
	const list = "most paused accounts"
	from, err := after(p, list, inMostPaused{Paused: math.MaxInt64})
	if err != nil {
		return Page[int64]{}, err
	}
	rows, err := q.MostPausedAccounts(ctx, dbsqlc.MostPausedAccountsParams{
		BeforePaused: from.Paused, AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last,
		HasBacklog: f.HasBacklog, Status: store.OrNil(f.Status), Blocked: store.OrNil(f.Blocked), Size: p.size(),
	})
	if err != nil {
		return Page[int64]{}, err
	}
	return paged(p, list, rows, func(r dbsqlc.MostPausedAccountsRow) int64 { return r.ID },
		func(r dbsqlc.MostPausedAccountsRow) inMostPaused { return inMostPaused{r.Paused, r.ID} })
}

// CountAccounts returns how many accounts match the filter, counted up to maxCounted. With more,
// isMore is true.
func CountAccounts(ctx context.Context, db *store.Store, s Scope, f AccountFilter) (n int64, isMore bool, err error) {
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		n, err = q.CountAccounts(ctx, dbsqlc.CountAccountsParams{
			FirstWorkspace: s.first, LastWorkspace: s.last, HasBacklog: f.HasBacklog, Status: store.OrNil(f.Status), Blocked: store.OrNil(f.Blocked),
			AtMost: maxCounted + 1,
		})
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("counting accounts: %w", err)
	}
	return min(n, maxCounted), n > maxCounted, nil
}

// AccountIDs returns the IDs of the accounts with a provider account ID; several if two providers
// use the same one.
func AccountIDs(ctx context.Context, db *store.Store, s Scope, account string) ([]int64, error) {
	return accountIDs(ctx, db.Read(), s, account)
}

func accountIDs(ctx context.Context, q *dbsqlc.Queries, s Scope, account string) ([]int64, error) {
	ids, err := q.FindAccounts(ctx, dbsqlc.FindAccountsParams{Account: account, FirstWorkspace: s.first, LastWorkspace: s.last})
	if err != nil {
		return nil, fmt.Errorf("looking for account %q: %w", account, err)
	}
	return ids, nil
}

// apply filters accounts that were looked up by provider account ID.
func (f AccountFilter) apply(accounts []Account) []Account {
	fitting := []Account{}
	for _, a := range accounts {
		waits := false
		for reason, n := range a.ByReason {
			waits = waits || n > 0 && enum.PauseReason(reason).WaitsForAccount()
		}
		if (f.Status == "" || a.Status == f.Status) && (!f.HasBacklog || waits) {
			fitting = append(fitting, a)
		}
	}
	return fitting
}

// AccountByID returns the details of an account, or [ErrNotFound].
func (f *Reader) AccountByID(ctx context.Context, s Scope, id int64) (AccountDetail, error) {
	var detail AccountDetail
	err := f.db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
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
		if detail.Siblings, err = accountsOf(ctx, q, s, siblings); err != nil {
			return err
		}
		detail.Moves, err = movesOf(ctx, q, detail.Account)
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

// movesOf returns the moves from and to an account.
func movesOf(ctx context.Context, q *dbsqlc.Queries, a Account) ([]Move, error) {
	moves := []Move{}
	if a.ResumesThrough == nil {
		return moves, nil
	}
	rows, err := q.AccountMoves(ctx, dbsqlc.AccountMovesParams{AccountID: a.ID, AtMost: maxCounted + 1})
	if err != nil {
		return nil, fmt.Errorf("reading moves: %w", err)
	}
	if len(rows) == 0 {
		return moves, nil
	}
	t, err := readTicks(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		move := Move{
			FromAccountID: r.FromAccountID, ToAccountID: r.ToAccountID,
			Prospects: min(r.Prospects, maxCounted), HasMore: r.Prospects > maxCounted,
		}
		if a.BlockedBy == nil {
			move.StartsAt = new(t.next())
		}
		moves = append(moves, move)
	}
	return moves, nil
}

// expect adds the upcoming ticks. A forecast covers the whole fleet, so it is read only if
// prospects may resume.
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

// accountsOf returns the accounts with these IDs that are within the scope, in the same order.
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
			ID: r.ID, Workspace: r.Workspace, Provider: r.Provider, ProviderName: r.ProviderName, Account: r.Account, Name: r.Name, Member: r.MemberID,
			Status: r.Status, StatusAt: utc(r.StatusAt), ConnectedAt: utc(r.ConnectedAt), LastError: r.LastError, Advice: store.OrNil(r.Advice),
			PauseAfter: utc(r.PauseAfter), HoldUntil: utc(r.HoldUntil), HoldReason: r.HoldReason,
			LockedAt: utc(r.LockedAt), LockedReason: r.LockedReason, ExternalID: r.ExternalID,
			Paused: r.Paused, Resumable: r.Resumable, ResumesThrough: store.OrNil(r.TargetID), BlockedBy: store.OrNil(r.BlockedBy),
		}
		if err := json.Unmarshal(r.ByReason, &a.ByReason); err != nil {
			return nil, fmt.Errorf("reading reasons: %w", err)
		}
		accounts = append(accounts, a)
	}
	slices.SortFunc(accounts, func(a, b Account) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	return accounts, nil
}

// productsOf returns the products of accounts, by account ID.
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

// A Signal is a status report from the provider about an account, with its outcome.
type Signal struct {
	ID          int64      `json:"id"`
	ReceivedAt  time.Time  `json:"received_at"`
	OccurredAt  *time.Time `json:"occurred_at"` // nil if the provider does not send it
	RawStatus   string     `json:"raw_status"`  // the provider's raw value
	Status      *string    `json:"status"`      // nil if RawStatus maps to no status
	Outcome     string     `json:"outcome"`     // applied, duplicate, stale, unknown_account, ignored
	DuplicateOf *int64     `json:"duplicate_of"`
	Verdict     *string    `json:"verdict"` // of its pass; nil if none, or not done
	Resumed     *int       `json:"resumed"` // how many prospects that pass resumed
}

// Signals returns a page of the signals about an account, newest first.
func Signals(ctx context.Context, db *store.Store, s Scope, accountID int64, p Paging) (Page[Signal], error) {
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
		ID: r.ID, ReceivedAt: r.ReceivedAt.UTC(), OccurredAt: utc(r.OccurredAt), RawStatus: r.RawStatus, Status: store.OrNil(r.Status),
		Outcome: r.Outcome, DuplicateOf: r.DuplicateOf, Verdict: r.Verdict, Resumed: number(r.Resumed),
	}
}

// number converts an optional count to a Go int.
func number(n *int32) *int {
	if n == nil {
		return nil
	}
	count := int(*n)
	return &count
}

// ofAccount runs do if the account exists within the scope; otherwise it returns [ErrNotFound].
func ofAccount(ctx context.Context, db *store.Store, s Scope, id int64, do func(q *dbsqlc.Queries) error) error {
	return db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
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
