package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/csvfile"
)

// Columns are the columns of a file. The header must name all of them, in any order and any case.
//
//	workspace               key of the workspace
//	account                 provider account ID; the provider is linkedin
//	member                  member ID of the person; if empty, the database keeps its value
//	account_status          a value of thaw.account_status
//	campaign                key of the campaign, unique within its workspace
//	campaign_status         a value of thaw.campaign_status
//	campaign_paused_reason  a value of thaw.pause_reason if the campaign is paused, otherwise empty
//	prospect_url            an http or https URL, or an e-mail address
//	status                  a value of thaw.enrollment_status
//	paused_reason           a value of thaw.pause_reason if the prospect is paused, otherwise empty
//	paused_at               a time if the prospect is paused, otherwise empty. RFC 3339 or the
//	                        timestamptz format of Postgres, from 2000-01-01T00:00:00Z to
//	                        2200-01-01T00:00:00Z
//	step                    a whole number from 0; empty means 0
//	next_action_at          a time as in paused_at, or empty
var Columns = []string{
	"workspace", "account", "member", "account_status", "campaign", "campaign_status", "campaign_paused_reason",
	"prospect_url", "status", "paused_reason", "paused_at", "step", "next_action_at",
}

// Indexes into Columns.
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

// readHeader returns the position in the file of each of Columns, or the problems of the header.
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
			problems.add(Problem{Line: line, Column: name, Message: "is not a known column: " + wantedHeader})
		case slices.Index(names, name) < i:
			problems.add(Problem{Line: line, Column: name, Message: "appears twice in the header"})
		}
	}
	for i, name := range Columns {
		places[i] = slices.Index(names, name)
		if places[i] < 0 {
			problems.add(Problem{Line: line, Column: name, Message: "is missing from the header: " + wantedHeader})
		}
	}
	return places, problems
}

var wantedHeader = fmt.Sprintf("the first line must have the columns %s, in any order", strings.Join(Columns, ","))
