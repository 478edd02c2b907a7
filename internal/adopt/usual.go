package adopt

import (
	"regexp"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/enum"
)

// tableNames match the last words of table names, as [plain] writes them, best first.
var tableNames = map[Kind][]*regexp.Regexp{
	Workspaces: patterns(`workspace`, `organi[sz]ation`, `tenant`, `team`, `compan(y|ie)`, `client`),
	Accounts: patterns(`linked_?in_?account`, `(sender|sending|provider|connected|email|social)_?account`, `mailbox(e)?`, `seat`, `sender`, `linked_?in_?(seat|profile|user)`,
		`account`, `integration`),
	Campaigns:   patterns(`campaign`, `sequence`, `cadence`, `flow`),
	Enrollments: patterns(`enrol?lment`, `campaign_?(lead|member|prospect|contact|recipient)`, `sequence_?(lead|member|prospect|contact)`, `lead`, `prospect`, `contact`, `recipient`),
}

// columnNames match the names of columns, best first.
var columnNamesOf = map[string][]*regexp.Regexp{
	"workspace": patterns(`workspace`, `workspace_id`, `organi[sz]ation_id`, `organi[sz]ation`, `tenant_id`, `tenant`, `team_id`, `team`, `compan(y|ie)_id`, `client_id`),
	"key":       patterns(`key`, `slug`),
	"name":      patterns(`name`, `title`, `full_name`, `display_name`, `label`),
	"provider":  patterns(`provider`, `provider_name`),
	"provider_account_id": patterns(`unipile_account_id`, `unipile_id`, `provider_account_id`, `provider_id`, `external_account_id`, `external_id`, `remote_id`,
		`account_id`, `email_address`, `email`),
	"member":          patterns(`member_id`, `member_urn`, `urn`, `provider_member_id`, `person_id`, `profile_urn`, `linked_?in_id`),
	"tier":            patterns(`tier`, `subscription`, `subscription_(tier|type|plan)`, `linked_?in_(plan|tier|subscription)`, `plan`, `licen[sc]e`, `seat_type`),
	"ramp_started_on": patterns(`(ramp|warm_?up)_started_(on|at)`, `(ramp|warm_?up)_start(_date)?`),
	"timezone":        patterns(`time_?zone`, `tz`, `time_zone_name`),
	"campaign":        patterns(`campaign_id`, `campaign`, `sequence_id`, `sequence`, `cadence_id`, `flow_id`),
	"account":         patterns(`sender_account_id`, `linked_?in_account_id`, `account_id`, `sender_id`, `seat_id`, `mailbox_id`, `sender`, `account`),
	"prospect_url":    patterns(`linked_?in_url`, `profile_url`, `prospect_url`, `linked_?in_profile_url`, `linked_?in_profile`, `url`, `linked_?in`, `email_address`, `email`),
	"step":            patterns(`current_step`, `step`, `step_number`, `step_index`, `current_step_number`, `position`),
	"next_action_at":  patterns(`next_action_at`, `next_run_at`, `next_step_at`, `due_at`, `scheduled_at`, `run_at`, `next_send_at`, `scheduled_for`, `run_after`),
	"paused_at":       patterns(`paused_at`, `halted_at`, `held_at`, `on_hold_since`),
	"status":          patterns(`status`, `state`, `connection_(status|state)`, `.*_(status|state)`, `stage`, `(is_)?(active|enabled|running)`, `health`),
	"reason":          patterns(`paused?_(cause|reason)`, `halt_(cause|reason)`, `(status|state)_reason`, `hold_reason`, `held_because`, `stop_reason`, `reason`),
	"deleted":         patterns(`deleted_at`, `discarded_at`, `archived_at`, `is_deleted`, `deleted`),
}

// meanings are the usual words of platforms, as [plain] writes them.
var meanings = map[Kind]map[string]string{
	Accounts: words(map[enum.AccountStatus]string{
		enum.AccountConnected:         "ok connected active running live healthy",
		enum.AccountConnecting:        "connecting pending new created syncing initializing reconnecting",
		enum.AccountDisconnected:      "disconnected credentials expired logged_out needs_reconnect reconnect_required signed_out auth_failed",
		enum.AccountNeedsVerification: "needs_verification checkpoint verification verify challenge permissions captcha two_factor",
		enum.AccountRestricted:        "restricted banned blocked suspended limited",
		enum.AccountError:             "error errored failed failing stopped degraded",
		enum.AccountRemoved:           "removed deleted archived",
	}),
	Campaigns: words(map[enum.CampaignStatus]string{
		enum.CampaignDraft:     "draft new created",
		enum.CampaignRunning:   "running active live started in_progress true",
		enum.CampaignPaused:    "paused halted on_hold stopped suspended false",
		enum.CampaignCompleted: "completed complete done finished ended archived",
	}),
	Enrollments: words(map[enum.EnrollmentStatus]string{
		enum.EnrollmentPending:   "pending queued new scheduled waiting created not_started",
		enum.EnrollmentActive:    "active running in_progress live contacted sending",
		enum.EnrollmentPaused:    "paused on_hold halted suspended paused_by_user paused_manually",
		enum.EnrollmentCompleted: "completed complete done finished",
		enum.EnrollmentReplied:   "replied answered responded",
		enum.EnrollmentFailed:    "failed error errored bounced",
		enum.EnrollmentRemoved:   "removed deleted unsubscribed opted_out cancelled canceled stopped",
	}),
}

// tierMeanings are the usual words for the subscription of an account.
var tierMeanings = words(map[enum.AccountTier]string{
	enum.TierFree:           "free basic none",
	enum.TierPremium:        "premium premium_career premium_business career business",
	enum.TierSalesNavigator: "sales_navigator sales_nav salesnavigator sales_navigator_core sales_navigator_advanced navigator",
	enum.TierRecruiter:      "recruiter recruiter_lite recruiter_corporate",
})

// reasonMeanings are the usual words for the reason of a pause.
var reasonMeanings = words(map[enum.PauseReason]string{
	enum.ReasonAccountDisconnected: "account_disconnected account_lost disconnected linkedin_account_disconnected lost_account sender_disconnected",
	enum.ReasonAccountIssue:        "account_issue linkedin_account_issue account_error sender_error",
	enum.ReasonAccountRestricted:   "account_restricted restricted",
	enum.ReasonPausedByUser:        "paused_by_user user manual by_user person",
})

// pausedForAccount are the usual status words that also say why a prospect is paused.
var pausedForAccount = []string{"paused_account", "account_paused", "paused_by_account", "paused_account_lost", "account_lost", "paused_disconnected", "account_disconnected"}

func words[T ~string](all map[T]string) map[string]string {
	meanings := map[string]string{}
	for ours, theirs := range all {
		for _, word := range strings.Fields(theirs) {
			meanings[word] = string(ours)
		}
	}
	return meanings
}

func patterns(all ...string) []*regexp.Regexp {
	compiled := make([]*regexp.Regexp, len(all))
	for i, pattern := range all {
		compiled[i] = regexp.MustCompile(`^(?:` + pattern + `)$`)
	}
	return compiled
}

// rank returns how well a name matches: the lower the better, and -1 if it does not. Of a table
// name the last words have to match, because frameworks put the name of the application before it.
func rank(all []*regexp.Regexp, text string, isTable bool) int {
	text = plain(text)
	if !isTable {
		return slices.IndexFunc(all, func(p *regexp.Regexp) bool { return p.MatchString(text) })
	}
	parts := strings.Split(strings.TrimSuffix(text, "s"), "_")
	for i, pattern := range all {
		for from := range parts {
			if pattern.MatchString(strings.Join(parts[from:], "_")) {
				return i
			}
		}
	}
	return -1
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// plain writes a name as the patterns expect it: "CampaignLead" and "campaign-lead" are
// "campaign_lead".
func plain(text string) string {
	text = camel.ReplaceAllString(text, "${1}_${2}")
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(strings.TrimSpace(text)))
}
