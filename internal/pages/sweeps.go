package pages

import (
	"net/http"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

func (s *site) sweepPage(r *http.Request) func(readmodel.Paging) (readmodel.Page[readmodel.SweepEntry], error) {
	return func(paging readmodel.Paging) (readmodel.Page[readmodel.SweepEntry], error) {
		return readmodel.Sweeps(r.Context(), s.Store, readmodel.Everything(), paging)
	}
}

func (s *site) sweeps(r *http.Request) (view, error) {
	l, err := listOf(r, s.sweepPage(r))
	l.Export = exportPath(r)
	return view{"sweeps.html", "Sweeps", l}, err
}

func (s *site) sweepsExport(r *http.Request) (*export, error) {
	header := []string{
		"tick_at", "accounts_planned", "accounts_processed", "planned", "resumed", "moved", "campaigns_resumed", "remaining",
		"account_cap", "fleet_cap", "is_partial", "started_at", "finished_at",
	}
	return exportOf("sweeps", header, s.sweepPage(r), func(e readmodel.SweepEntry) []string {
		return []string{
			e.TickAt.Format(time.RFC3339), strconv.Itoa(e.AccountsPlanned), strconv.Itoa(e.AccountsProcessed), strconv.Itoa(e.Planned),
			strconv.Itoa(e.Resumed), digits(e.Moved), digits(e.CampaignsResumed), digits(e.Remaining), digits(e.AccountCap), digits(e.FleetCap),
			strconv.FormatBool(e.IsPartial), e.StartedAt.Format(time.RFC3339), moment(e.FinishedAt),
		}
	}), nil
}
