package readmodel

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
)

// Found is the result of a search: at most ten items per kind.
type Found struct {
	Prospects  []FoundProspect  `json:"prospects"`
	Accounts   []FoundAccount   `json:"accounts"`
	Campaigns  []FoundCampaign  `json:"campaigns"`
	Workspaces []FoundWorkspace `json:"workspaces"`
}

// A FoundProspect is a prospect in one campaign.
type FoundProspect struct {
	EnrollmentID int64  `json:"enrollment_id"`
	Workspace    string `json:"workspace"`
	Campaign     string `json:"campaign"`
	AccountID    int64  `json:"account_id"`
	Account      string `json:"account"`
	ProspectURL  string `json:"prospect_url"` // as it was enrolled
	Status       string `json:"status"`
}

// A FoundAccount is an account whose name or provider account ID has the searched prefix.
type FoundAccount struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Account   string `json:"account"`
	Name      string `json:"name"`
	Status    string `json:"status"`
}

// A FoundCampaign is a campaign whose key or name has the searched prefix.
type FoundCampaign struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Campaign  string `json:"campaign"`
	Name      string `json:"name"`
	Status    string `json:"status"`
}

// A FoundWorkspace is a workspace whose key or name has the searched prefix.
type FoundWorkspace struct {
	ID        int64  `json:"id"`
	Workspace string `json:"workspace"`
	Name      string `json:"name"`
}

// foundOfKind is the maximum number of results per kind.
const foundOfKind = 10

// Search finds prospects by their URL, in any spelling, and accounts, campaigns and workspaces by a
// case-insensitive prefix. An empty text finds nothing.
func Search(ctx context.Context, db *pgxpool.Pool, s Scope, wanted string) (Found, error) {
	found := Found{Prospects: []FoundProspect{}, Accounts: []FoundAccount{}, Campaigns: []FoundCampaign{}, Workspaces: []FoundWorkspace{}}
	if wanted = strings.TrimSpace(wanted); wanted == "" {
		return found, nil
	}
	err := read(ctx, db, func(q *dbsqlc.Queries) error {
		prospects, err := q.SearchProspects(ctx, dbsqlc.SearchProspectsParams{
			ProspectUrls: explain.Spellings(wanted), FirstWorkspace: s.first, LastWorkspace: s.last, Size: foundOfKind,
		})
		if err != nil {
			return fmt.Errorf("prospects: %w", err)
		}
		for _, r := range prospects {
			found.Prospects = append(found.Prospects, FoundProspect{r.ID, r.Workspace, r.Campaign, r.AccountID, r.Account, r.ProspectUrl, r.Status})
		}
		accounts, err := q.SearchAccounts(ctx, dbsqlc.SearchAccountsParams{Beginning: wanted, FirstWorkspace: s.first, LastWorkspace: s.last, Size: foundOfKind})
		if err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
		for _, r := range accounts {
			found.Accounts = append(found.Accounts, FoundAccount(r))
		}
		campaigns, err := q.SearchCampaigns(ctx, dbsqlc.SearchCampaignsParams{Beginning: wanted, FirstWorkspace: s.first, LastWorkspace: s.last, Size: foundOfKind})
		if err != nil {
			return fmt.Errorf("campaigns: %w", err)
		}
		for _, r := range campaigns {
			found.Campaigns = append(found.Campaigns, FoundCampaign(r))
		}
		workspaces, err := q.SearchWorkspaces(ctx, dbsqlc.SearchWorkspacesParams{Beginning: wanted, FirstWorkspace: s.first, LastWorkspace: s.last, Size: foundOfKind})
		if err != nil {
			return fmt.Errorf("workspaces: %w", err)
		}
		for _, r := range workspaces {
			found.Workspaces = append(found.Workspaces, FoundWorkspace(r))
		}
		return nil
	})
	if err != nil {
		return Found{}, fmt.Errorf("searching: %w", err)
	}
	return found, nil
}
