package readmodel

import (
	"context"
	"fmt"
	"slices"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/lookup"
)

// Found is the result of a search: one page per kind.
type Found struct {
	Prospects  []FoundProspect  `json:"prospects"`
	Accounts   []FoundAccount   `json:"accounts"`
	Campaigns  []FoundCampaign  `json:"campaigns"`
	Workspaces []FoundWorkspace `json:"workspaces"`
	Next       FoundNext        `json:"next_cursors"`
	Tried      []string         `json:"tried"`   // for people: what was looked up
	Omitted    int              `json:"omitted"` // URLs of the text beyond those that were looked up
}

// FoundNext has the cursor of the next page of each kind. Nil: no further results.
type FoundNext struct {
	Prospects  *string `json:"prospects"`
	Accounts   *string `json:"accounts"`
	Campaigns  *string `json:"campaigns"`
	Workspaces *string `json:"workspaces"`
}

// IsEmpty reports whether nothing was found.
func (f Found) IsEmpty() bool {
	return len(f.Prospects)+len(f.Accounts)+len(f.Campaigns)+len(f.Workspaces) == 0
}

// A Match says how a result was found. Those that identify it come first.
type Match string

// The matches, in the order of results.
const (
	MatchID      Match = "id"      // by its ID or key, the platform's own ID, or a spelling of its URL
	MatchName    Match = "name"    // by its whole name; a prospect: by an ID within its URL
	MatchStart   Match = "start"   // by the start of its ID or key
	MatchSimilar Match = "similar" // by words of its name; a prospect: its profile may be of this name
)

// matches are the matches by their number in the queries.
var matches = map[int32]Match{1: MatchID, 2: MatchName, 3: MatchStart, 4: MatchSimilar}

// Identifies reports whether the match leaves no doubt that the result is meant, if it is the only
// one with such a match.
func (m Match) Identifies() bool { return m == MatchID || m == MatchName }

// A FoundProspect is a prospect in one campaign.
type FoundProspect struct {
	EnrollmentID int64  `json:"enrollment_id"`
	Workspace    string `json:"workspace"`
	Campaign     string `json:"campaign"`
	AccountID    int64  `json:"account_id"`
	Account      string `json:"account"`
	AccountName  string `json:"account_name"`
	ProspectURL  string `json:"prospect_url"`          // as it was enrolled
	ExternalID   string `json:"external_id,omitempty"` // the platform's own ID; empty: none
	Status       string `json:"status"`
	Match        Match  `json:"match"`
}

// A FoundAccount is an account that matches by its provider account ID or its name.
type FoundAccount struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Match     Match  `json:"match"`
}

// A FoundCampaign is a campaign that matches by its key or its name.
type FoundCampaign struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Campaign  string `json:"campaign"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Match     Match  `json:"match"`
}

// A FoundWorkspace is a workspace that matches by its key or its name.
type FoundWorkspace struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Name      string `json:"name"`
	Match     Match  `json:"match"`
}

// A SearchFilter selects a page of results.
type SearchFilter struct {
	Kind   string // "prospects", "accounts", "campaigns" or "workspaces"; empty: the first page of each
	Paging        // a cursor needs the kind
}

// SearchKinds are the kinds of results.
var SearchKinds = []string{"prospects", "accounts", "campaigns", "workspaces"}

const (
	// foundOfKind is the default number of results per kind.
	foundOfKind = 10
	// maxFound is how many results per kind can be paged through. A longer text finds the others.
	maxFound = 500
	// scannedRows is how many rows of a range of prospects are read for a caller that can see only one
	// workspace.
	scannedRows = 500
)

// skipped is the position in a list of results. Results have a rank and no key, so a page begins
// after a number of them.
type skipped struct {
	Skip int `json:"skip"`
}

// Search finds prospects, accounts, campaigns and workspaces by a pasted text: see package lookup.
// An empty text finds nothing.
func Search(ctx context.Context, db *store.Store, s Scope, wanted string, f SearchFilter) (Found, error) {
	found := Found{Prospects: []FoundProspect{}, Accounts: []FoundAccount{}, Campaigns: []FoundCampaign{}, Workspaces: []FoundWorkspace{}, Tried: []string{}}
	if f.Kind == "" {
		f.Cursor = ""
	}
	if f.Limit == 0 {
		f.Limit = foundOfKind
	}
	from, err := after(f.Paging, "search "+f.Kind, skipped{})
	if err != nil || from.Skip < 0 || from.Skip > maxFound {
		return found, ErrCursor
	}
	query := lookup.Parse(wanted)
	var all lookup.Item
	var externalIDs []string
	for _, item := range query.Items {
		all.URLs = append(all.URLs, item.URLs...)
		externalIDs = append(externalIDs, item.Text)
		all.Beginnings = append(all.Beginnings, item.Beginnings...)
		all.Similar = append(all.Similar, item.Similar...)
		all.Name = item.Name
		if f.Kind == "" || f.Kind == "prospects" {
			found.Tried = append(found.Tried, item.Tried...)
		}
		if f.Kind != "prospects" && item.TriedNames != "" {
			found.Tried = append(found.Tried, item.TriedNames)
		}
	}
	found.Omitted = query.Omitted
	if len(query.Items) == 0 {
		return found, nil
	}
	x := searching{ctx: ctx, scope: s, filter: f, skip: int32(from.Skip), size: int32(f.limit() + 1)}
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		var err error
		if x.wants("prospects") {
			found.Prospects, found.Next.Prospects, err = x.prospects(q, all, externalIDs)
		}
		if err == nil && all.Name != "" && x.wants("accounts") {
			found.Accounts, found.Next.Accounts, err = x.accounts(q, all.Name)
		}
		if err == nil && all.Name != "" && x.wants("campaigns") {
			found.Campaigns, found.Next.Campaigns, err = x.campaigns(q, all.Name)
		}
		if err == nil && all.Name != "" && x.wants("workspaces") {
			found.Workspaces, found.Next.Workspaces, err = x.workspaces(q, all.Name)
		}
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("searching: %w", err)
	}
	return found, nil
}

// searching is the search for one page of each kind.
type searching struct {
	ctx        context.Context
	scope      Scope
	filter     SearchFilter
	skip, size int32
}

func (x searching) wants(kind string) bool { return x.filter.Kind == "" || x.filter.Kind == kind }

// shown builds the items of a page from the rows that were read for it, and the cursor of the next.
func shown[R, T any](x searching, kind string, rows []R, item func(R) T) ([]T, *string, error) {
	limit := x.filter.limit()
	p := x.filter.Paging
	if int(x.skip)+limit >= maxFound {
		rows = rows[:min(len(rows), limit)] // the last page that can be reached
	}
	page, err := paged(p, "search "+kind, rows, item, func(R) skipped { return skipped{int(x.skip) + limit} })
	return page.Items, page.NextCursor, err
}

func (x searching) prospects(q *dbsqlc.Queries, item lookup.Item, externalIDs []string) ([]FoundProspect, *string, error) {
	rows, err := q.SearchProspects(x.ctx, dbsqlc.SearchProspectsParams{
		ProspectUrls: item.URLs, Beginnings: item.Beginnings, SimilarTo: item.Similar, Scanned: scannedRows, ExternalIds: externalIDs,
		FirstWorkspace: x.scope.first, LastWorkspace: x.scope.last, Skip: x.skip, Size: x.size,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prospects: %w", err)
	}
	return shown(x, "prospects", rows, func(r dbsqlc.SearchProspectsRow) FoundProspect {
		return FoundProspect{r.ID, r.Workspace, r.Campaign, r.AccountID, r.Account, r.AccountName, r.ProspectUrl, r.ExternalID, r.Status, matches[r.Match]}
	})
}

func (x searching) accounts(q *dbsqlc.Queries, name string) ([]FoundAccount, *string, error) {
	rows, err := q.SearchAccounts(x.ctx, dbsqlc.SearchAccountsParams{
		Wanted: name, WordMatches: maxFound, FirstWorkspace: x.scope.first, LastWorkspace: x.scope.last, Skip: x.skip, Size: x.size,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("accounts: %w", err)
	}
	return shown(x, "accounts", rows, func(r dbsqlc.SearchAccountsRow) FoundAccount {
		return FoundAccount{r.ID, r.Workspace, r.Provider, r.Account, r.Name, r.Status, matches[r.Match]}
	})
}

func (x searching) campaigns(q *dbsqlc.Queries, name string) ([]FoundCampaign, *string, error) {
	rows, err := q.SearchCampaigns(x.ctx, dbsqlc.SearchCampaignsParams{
		Wanted: name, WordMatches: maxFound, FirstWorkspace: x.scope.first, LastWorkspace: x.scope.last, Skip: x.skip, Size: x.size,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("campaigns: %w", err)
	}
	return shown(x, "campaigns", rows, func(r dbsqlc.SearchCampaignsRow) FoundCampaign {
		return FoundCampaign{r.ID, r.Workspace, r.Campaign, r.Name, r.Status, matches[r.Match]}
	})
}

func (x searching) workspaces(q *dbsqlc.Queries, name string) ([]FoundWorkspace, *string, error) {
	rows, err := q.SearchWorkspaces(x.ctx, dbsqlc.SearchWorkspacesParams{
		Wanted: name, WordMatches: maxFound, FirstWorkspace: x.scope.first, LastWorkspace: x.scope.last, Skip: x.skip, Size: x.size,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("workspaces: %w", err)
	}
	return shown(x, "workspaces", rows, func(r dbsqlc.SearchWorkspacesRow) FoundWorkspace {
		return FoundWorkspace{r.ID, r.Workspace, r.Name, matches[r.Match]}
	})
}

// A Person is a prospect that a search found, in all of its campaigns.
type Person struct {
	URLs        []string // the spellings under which it was enrolled
	Enrollments []FoundProspect
	Match       Match // the best of its enrollments
}

// People groups prospects by person, in the order of the results.
func People(prospects []FoundProspect) []Person {
	var people []Person
	index := map[string]int{}
	for _, p := range prospects {
		key := lookup.Person(p.ProspectURL)
		i, known := index[key]
		if !known {
			i = len(people)
			index[key] = i
			people = append(people, Person{Match: p.Match})
		}
		people[i].Enrollments = append(people[i].Enrollments, p)
		if !slices.Contains(people[i].URLs, p.ProspectURL) {
			people[i].URLs = append(people[i].URLs, p.ProspectURL)
		}
	}
	return people
}
