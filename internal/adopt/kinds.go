package adopt

import (
	"regexp"

	"github.com/thawline/thaw/internal/enum"
)

// A Kind is one of the four kinds of rows that Thaw has a copy of.
type Kind string

// The kinds, each of which is a section of the mapping.
const (
	Workspaces  Kind = "workspaces"
	Accounts    Kind = "accounts"
	Campaigns   Kind = "campaigns"
	Enrollments Kind = "enrollments"
)

// Kinds are all kinds. A row refers only to rows of kinds before its own.
var Kinds = []Kind{Workspaces, Accounts, Campaigns, Enrollments}

// A field is a value that a row of a kind has in Thaw.
type field struct {
	name     string // in the mapping
	key      string // in the rows for thaw.take_…
	holds    class
	required bool
	isFixed  bool // the mapping may give one value for all rows
	// running is true for a value that a sender changes with every step. Thaw reads it only when the
	// enrollment is paused.
	running bool
	// words are Thaw's words, if the platform's are translated: the mapping may have a map, without
	// which the words are Thaw's own. Another word means otherwise; empty: null.
	words     []string
	otherwise string
	about     string // what it is, for a proposal
}

// kindPattern is that of thaw.action_kinds. A platform may have added kinds there.
var kindPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// usualKinds are the kinds of actions that every installation has.
var usualKinds = []string{"invite", "message", "inmail", "view", "email"}

// A class says which types of columns a field can have.
type class int

const (
	text class = iota
	integer
	moment
	day
)

// fields are the fields of each kind, except for the id, the status and the reason.
var fields = map[Kind][]field{
	Workspaces: {
		{name: "key", key: "key", about: "the key in pages and commands; without it, the id"},
		{name: "name", key: "name", about: "the name that people see"},
	},
	Accounts: {
		{name: "workspace", key: "workspace", required: true, isFixed: true, about: "the id of the workspace"},
		{name: "provider", key: "provider", isFixed: true, about: "linkedin, email, …; without it, linkedin"},
		{name: "provider_account_id", key: "provider_account_id", required: true, about: "the ID of the account at the provider, as in its webhooks"},
		{name: "member", key: "member_id", about: "the person behind the account, which stays the same when they connect again"},
		{name: "name", key: "name", about: "the name that people see"},
		{name: "timezone", key: "timezone", about: "an IANA time zone, such as Europe/Paris; without it, nothing is sent"},
		{name: "tier", key: "tier", words: enum.Names(enum.AccountTiers), otherwise: string(enum.TierFree), about: "the subscription, which selects the caps of sending; without it, free"},
		{name: "ramp_started_on", key: "ramp_started_on", holds: day, about: "when the account began to send, before Thaw; without it, caps begin with ramp week 1"},
	},
	Campaigns: {
		{name: "workspace", key: "workspace", required: true, isFixed: true, about: "the id of the workspace"},
		{name: "key", key: "key", about: "the key in pages and commands; without it, the id"},
		{name: "name", key: "name", about: "the name that people see"},
	},
	Enrollments: {
		{name: "workspace", key: "workspace", isFixed: true, about: "the id of the workspace; without it, that of the campaign"},
		{name: "campaign", key: "campaign", required: true, about: "the id of the campaign"},
		{name: "account", key: "account", about: "the id of the account that sends; null: none is assigned yet"},
		{name: "prospect_url", key: "prospect_url", required: true, about: "the profile URL or the address of the prospect"},
		{name: "step", key: "step", holds: integer, running: true, about: "the number of the current step"},
		{name: "next_action_at", key: "next_action_at", holds: moment, running: true, about: "when the next step is due"},
		{name: "next_kind", key: "next_kind", running: true, words: usualKinds, about: "the kind of the next step (invite, message, …), if Thaw is to schedule it"},
		{name: "paused_at", key: "paused_at", holds: moment, about: "when it was paused: Thaw sets and clears it too; without it, when Thaw first saw it paused"},
	},
}

// hasStatus reports whether rows of this kind have a status.
func (k Kind) hasStatus() bool { return k != Workspaces }

// hasReason reports whether rows of this kind are paused for a reason.
func (k Kind) hasReason() bool { return k == Campaigns || k == Enrollments }

// statuses are the statuses that the platform's words can mean.
func (k Kind) statuses() []string {
	switch k {
	case Accounts:
		return names(enum.AccountStatuses)
	case Campaigns:
		return names(enum.CampaignStatuses)
	case Enrollments:
		return names(enum.EnrollmentStatuses)
	default:
		return nil
	}
}

// reasons are the reasons for which rows of this kind are paused.
func (k Kind) reasons() []string {
	var all []string
	for _, reason := range enum.PauseReasons {
		if k == Campaigns || !reason.IsOfCampaigns() {
			all = append(all, string(reason))
		}
	}
	return all
}

// isRunning reports whether a sender works on rows with this status.
func (k Kind) isRunning(status string) bool {
	return k == Enrollments && status == string(enum.EnrollmentActive)
}

// paused is the status of a paused campaign or enrollment.
const paused = string(enum.EnrollmentPaused)

// written are the statuses that Thaw writes into the platform's table, so that it must know a word
// for each. The status of an account is written only if there is a word for it.
func (k Kind) written() []string {
	switch k {
	case Campaigns:
		return []string{string(enum.CampaignRunning), paused}
	case Enrollments:
		return []string{string(enum.EnrollmentActive), paused}
	default:
		return nil
	}
}

// instead is the reason whose word is written for a reason that has no word.
var instead = map[enum.PauseReason]enum.PauseReason{
	enum.ReasonAccountIssue:      enum.ReasonAccountDisconnected,
	enum.ReasonAccountRestricted: enum.ReasonAccountDisconnected,
}

// deletes are what a deleted row can mean. The first is the default.
var deletes = map[Kind][]string{
	Workspaces:  {"keep"},
	Accounts:    {"removed", "keep"},
	Campaigns:   {"completed", "keep"},
	Enrollments: {"removed", "keep"},
}

func names[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}
