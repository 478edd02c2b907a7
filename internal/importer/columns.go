package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/csvfile"
)

// Columns are the columns that a header must name, in any order and any case. A file without any
// column of prospects and campaigns has accounts only, and needs no more than the first four.
//
//	workspace               key of the workspace
//	account                 provider account ID
//	member                  member ID of the person; if empty, the database keeps its value
//	account_status          a value of thaw.account_status
//	campaign                key of the campaign, unique within its workspace
//	campaign_status         a value of thaw.campaign_status
//	campaign_paused_reason  a value of thaw.pause_reason if the campaign is paused, otherwise empty
//	prospect_url            an http or https URL; without a scheme, https
//	status                  a value of thaw.enrollment_status
//	paused_reason           a value of thaw.pause_reason if the prospect is paused, otherwise empty
//	paused_at               a time if the prospect is paused, otherwise empty. RFC 3339 or the
//	                        timestamptz format of Postgres, from 2000-01-01T00:00:00Z to
//	                        2200-01-01T00:00:00Z
//	step                    a whole number from 0; empty means 0
//	next_action_at          a time as in paused_at, or empty
//
// A line whose columns of the prospect and its campaign are all empty is an account without
// prospects.
var Columns = []string{
	"workspace", "account", "member", "account_status", "campaign", "campaign_status", "campaign_paused_reason",
	"prospect_url", "status", "paused_reason", "paused_at", "step", "next_action_at",
}

// Optional are columns that a file may have in addition. If one is empty, the database keeps its
// value.
//
//	provider                provider of the account; if empty, linkedin
//	account_name            display name of the account
//	timezone                time zone of the account's owner, such as Europe/Berlin
//	tier                    a value of thaw.account_tier: the subscription of the account
//	ramp_started_on         date on which ramp week 1 of the account began, such as 2026-01-31. It
//	                        applies until the first action of the account is sent through Thaw
//	account_external_id     the platform's own ID of the account
//	workspace_name          name of the workspace
//	workspace_external_id   the platform's own ID of the workspace
//	campaign_name           name of the campaign
//	campaign_external_id    the platform's own ID of the campaign
//	external_id             the platform's own ID of the prospect in its campaign. It identifies the
//	                        prospect; otherwise its campaign and URL do
//	next_kind               a kind of thaw.action_kinds: that of the prospect's next action
var Optional = []string{
	"provider", "account_name", "timezone", "tier", "ramp_started_on", "account_external_id", "workspace_name", "workspace_external_id",
	"campaign_name", "campaign_external_id", "external_id", "next_kind",
}

// allColumns are Columns and Optional.
var allColumns = slices.Concat(Columns, Optional)

// Indexes into allColumns.
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
	provider
	accountName
	timezone
	tier
	rampStartedOn
	accountExternalID
	workspaceName
	workspaceExternalID
	campaignName
	campaignExternalID
	externalID
	nextKind
	columnCount
)

// isOfProspect reports whether a column describes the prospect or its campaign.
func isOfProspect(column int) bool {
	return column >= campaign && column <= nextActionAt || column >= campaignName
}

// readHeader returns the position in the file of each of allColumns (-1: none), or the problems of
// the header.
func readHeader(line int, header []string) (places [columnCount]int, problems Problems) {
	names := csvfile.Names(header)
	if wrong := csvfile.CheckHeader(names, allColumns); wrong != "" {
		problems.add(Problem{Line: line, Value: strings.Join(header, ","), Message: wrong + ": " + wantedHeader})
		return places, problems
	}
	for i, name := range names {
		switch {
		case name == "":
			problems.add(Problem{Line: line, Message: fmt.Sprintf("has a column without a name (column %d is empty): delete the column", i+1)})
		case !slices.Contains(allColumns, name):
			problems.add(Problem{Line: line, Column: name, Message: "is not a known column: " + wantedHeader})
		case slices.Index(names, name) < i:
			problems.add(Problem{Line: line, Column: name, Message: "appears twice in the header"})
		}
	}
	hasProspects := false
	for i, name := range allColumns {
		places[i] = slices.Index(names, name)
		hasProspects = hasProspects || places[i] >= 0 && isOfProspect(i)
	}
	for i, name := range Columns {
		if places[i] < 0 && (hasProspects || !isOfProspect(i)) {
			problems.add(Problem{Line: line, Column: name, Message: "is missing from the header: " + wantedHeader})
		}
	}
	return places, problems
}

var wantedHeader = fmt.Sprintf("the first line must have the columns %s, in any order, and may have %s",
	strings.Join(Columns, ","), strings.Join(Optional, ","))
