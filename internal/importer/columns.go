package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/csvfile"
)

// Columns are the columns of a file. Its first line names all of them, in any order and any case.
//
//	workspace               key of the workspace
//	account                 the provider's id of the account; the provider is linkedin
//	member                  the person behind the account; may be empty: not known, what the database has stays
//	account_status          as in thaw.account_status
//	campaign                key of the campaign, within its workspace
//	campaign_status         as in thaw.campaign_status
//	campaign_paused_reason  as in thaw.pause_reason if the campaign is paused, else empty
//	prospect_url            an http or https URL
//	status                  as in thaw.enrollment_status
//	paused_reason           if the prospect is paused, else empty
//	paused_at               RFC 3339 or as Postgres writes a timestamptz, from 2000-01-01T00:00:00Z to 2200-01-01T00:00:00Z,
//	                        if the prospect is paused, else empty
//	step                    a whole number from 0; empty: 0
//	next_action_at          as paused_at; may be empty
var Columns = []string{
	"workspace", "account", "member", "account_status", "campaign", "campaign_status", "campaign_paused_reason",
	"prospect_url", "status", "paused_reason", "paused_at", "step", "next_action_at",
}

// Places in Columns.
const (
	workspace = iota
	account
	member
	accountStatus
	campaign
	campaignStatus
	campaignPausedReason
	prospectURL
	status
	pausedReason
	pausedAt
	step
	nextActionAt
	columnCount
)

// readHeader returns the place in the file of each of Columns, or what is wrong with the header.
func readHeader(line int, header []string) (places [columnCount]int, problems Problems) {
	names := csvfile.Names(header)
	if wrong := csvfile.CheckHeader(names, Columns); wrong != "" {
		problems.add(Problem{Line: line, Value: strings.Join(header, ","), Message: wrong + ": " + wantedHeader})
		return places, problems
	}
	for i, name := range names {
		switch {
		case name == "":
			problems.add(Problem{Line: line, Message: fmt.Sprintf("has a column without a name (column %d is empty): delete the column", i+1)})
		case !slices.Contains(Columns, name):
			problems.add(Problem{Line: line, Column: name, Message: "is not a column of a fleet: " + wantedHeader})
		case slices.Index(names, name) < i:
			problems.add(Problem{Line: line, Column: name, Message: "stands in the header twice"})
		}
	}
	for i, name := range Columns {
		places[i] = slices.Index(names, name)
		if places[i] < 0 {
			problems.add(Problem{Line: line, Column: name, Message: "is missing in the header: " + wantedHeader})
		}
	}
	return places, problems
}

var wantedHeader = fmt.Sprintf("the first line must name the columns %s, in any order", strings.Join(Columns, ","))
