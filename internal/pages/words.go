package pages

import (
	"fmt"
	"html/template"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/thawline/thaw/internal/outbound"
)

// words are the functions of the templates.
var words = template.FuncMap{
	"reason":   func(key string) string { return say(reasons, key) },
	"status":   func(key string) string { return say(statuses, key) },
	"tone":     func(key string) string { return tones[key] },
	"code":     func(key any) string { return say(codes, plain(key)) },
	"actor":    func(key any) string { return say(actors, plain(key)) },
	"kind":     func(key string) string { return say(kinds, key) },
	"source":   func(key string) string { return say(sources, key) },
	"act":      act,
	"count":    count,
	"sentence": sentence,
	"many":     many,
	"took":     took,
	"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	// With milliseconds, for the clock of a page.
	"instant": func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") },
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"prospectPath": func(prospectURL string) string {
		return "/prospects?" + url.Values{"url": {prospectURL}}.Encode()
	},
	"deref": func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	},
	"prospectName": prospectName,
	"shortURL":     shortURL,
	"timed":        timed,
	"reply":        reply,
	"span":         span,
	"backwards":    backwards,
	"canPause":     canPause,
	"canRelease":   canRelease,
	"placeOf":      placeOf,
	"kindName":     kindName,
	"kindNames":    kindNames,
	"plain":        plain,
	"clock":        clock,
	"ahead":        ahead,
	"gap":          gap,
	"startsWith":   strings.HasPrefix,
	"masked":       outbound.Masked,
	"flagOf":       flagOf,
	"settingValue": settingValue,
	"pathTo":       pathTo,
	// A prospect's URL can be any text; only the URL of a web page becomes a link.
	"isWeb": func(address string) bool {
		return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
	},
}

var reasons = map[string]string{
	"account_disconnected":  "account disconnected",
	"account_issue":         "account error",
	"account_restricted":    "account restricted",
	"high_failure_rate":     "too many failures",
	"subscription_inactive": "subscription inactive",
	"paused_by_user":        "paused manually",
}

var statuses = map[string]string{
	"auto_resume_off": "auto-resume off",
}

// tones are the colors of badges. A status without one is neutral.
var tones = map[string]string{
	"connected": "good", "running": "good", "active": "good", "done": "good", "delivered": "good", "applied": "good",
	"disconnected": "bad", "restricted": "bad", "error": "bad", "removed": "bad", "failed": "bad", "stopped": "bad",
	"sent": "good", "unknown": "bad", "refused": "bad", "reserved": "wait", "started": "wait",
	"connecting": "wait", "needs_verification": "wait", "paused": "wait", "waiting": "wait", "unknown_account": "wait",
}

var codes = map[string]string{
	"active":                     "active",
	"account_not_connected":      "account not connected",
	"no_account":                 "no account assigned yet",
	"no_connected_sibling":       "no account of this person connected",
	"sibling_in_other_workspace": "connected in another workspace",
	"account_on_hold":            "account on hold",
	"account_locked":             "account locked",
	"account_parked":             "account parked",
	"account_flapping":           "account flapping",
	"account_stuck":              "stuck connecting",
	"refusals":                   "refusals of a kind",
	"safety_mode":                "safety mode",
	"waiting_for_move":           "waiting for a move",
	"campaign_not_running":       "campaign not running",
	"paused_by_user":             "paused manually",
	"account_restricted":         "account restricted",
	"subscription_inactive":      "subscription inactive",
	"auto_resume_off":            "auto-resume off",
	"shadow_mode":                "shadow mode",
	"terminal":                   "finished",
	"waiting_for_sweep":          "waiting for sweep",
	"not_found":                  "not found",
}

var actors = map[string]string{
	"none": "none", "user": "by a user", "operator": "by an operator", "billing": "by billing", "provider": "by the provider",
}

var kinds = map[string]string{
	"moved": "moved to another account", "released": "released manually", "settled": "action completed",
}

var sources = map[string]string{
	"operator": "an operator", "platform": "the platform",
}

var actions = map[string]string{
	"held": "put on hold", "hold_corrected": "hold corrected", "linked": "accounts linked", "paused": "paused", "resumed": "released",
	"auto_resume_off": "auto-resume turned off", "auto_resume_on": "auto-resume turned on", "settings_changed": "settings changed", "shadow_on": "shadow mode turned on", "shadow_off": "taken live", "safety_entered": "safety mode entered", "safety_exited": "safety mode exited",
	"instance_adopted": "instance adopted", "server_changed": "server changed",
	"prospect_erased": "prospect erased", "workspace_removed": "workspace removed",
	"adopted": "tables adopted", "adoption_fixed": "copy of the tables fixed", "adoption_removed": "adoption removed",
	"heal_cap_set": "heal cap set", "heal_cap_removed": "heal cap removed",
	"imported": "file imported", "signals_replayed": "signals replayed", "reconciled": "accounts reconciled",
	"endpoint_added": "endpoint added", "endpoint_enabled": "endpoint enabled", "endpoint_removed": "endpoint removed",
	"messages_replayed": "messages sent again", "token_created": "API token created", "token_revoked": "API token revoked",
	"jobs_changed": "jobs changed in River UI",
	"heal_started": "heal started", "heal_stopped": "heal stopped", "heal_resumed": "heal continued", "undone": "undo",
	"limit_set": "limit of sending set", "ceiling_set": "ceiling of sending set", "windows_set": "sending window set", "kind_held": "kind put on hold",
	"kind_hold_corrected": "hold of a kind corrected", "action_settled": "unknown action settled", "ramp_set": "ramp set",
}

// notices are the messages shown after an action, by the key in the address.
var notices = map[string]string{
	"held":             "The account is on hold.",
	"hold-corrected":   "Hold corrected. The correction is in the audit log.",
	"kind-held":        "The kind is on hold; other kinds go on.",
	"limit-set":        "The limit is set. It applies from the next action on.",
	"limit-removed":    "The account has no limit of its own for this kind: the default applies.",
	"paused":           "Paused until released manually.",
	"resumed":          "Released. The next sweeps resume the prospects within the caps.",
	"campaign-started": "Campaign started. The next sweeps resume its waiting prospects.",
	"campaign-paused":  "Campaign paused. Its prospects keep their status.",
	"nothing":          "No change: it was already in this state.",
	"safety-entered":   "Safety mode is on.",
	"safety-exited":    "Safety mode is off. The next sweep resumes prospects within its caps.",
	"auto-resume":      "Auto-resume changed.",
	"heal":             "Heal queued.",
	"heal-stopped":     "Heal stopped. What it has resumed stays resumed.",
	"heal-resumed":     "Heal continued.",
	"undone":           "Undone. The undo is in the audit log.",
	"replayed":         "Messages queued. They are sent as soon as a worker process with the endpoint's secret runs.",
	"action-settled":   "Settled. The audit log has your reason.",
	"endpoint-enabled": "Endpoint enabled. To deliver failed messages, send them again.",
}

// act returns what an action did. A campaign is started, not released.
func act(what, campaign string) string {
	if what == "resumed" && campaign != "" {
		return "started"
	}
	return say(actions, what)
}

// plain returns a key as text. Keys are strings of several types, and pointers to them.
func plain(key any) string {
	v := reflect.ValueOf(key)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return v.String()
}

// span formats a duration in words: "15 minutes".
func span(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return many(int64(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return many(int64(d/time.Hour), "hour")
	case d%time.Minute == 0:
		return many(int64(d/time.Minute), "minute")
	default:
		return many(int64(d/time.Second), "second")
	}
}

// say returns the label for a key of the database. A key without a label is shown with spaces for
// underscores.
func say(all map[string]string, key string) string {
	if word, known := all[key]; known {
		return word
	}
	return strings.ReplaceAll(key, "_", " ")
}

// count formats a number in groups of three digits, as in 12,345. A nil pointer is a dash.
func count(n any) string {
	v := reflect.ValueOf(n)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "–"
		}
		v = v.Elem()
	}
	digits := strconv.FormatInt(v.Int(), 10)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// many formats a number with a noun: 1 account, 2 accounts.
func many(n any, thing string) string {
	number := count(n)
	if number == "1" {
		return number + " " + thing
	}
	return number + " " + thing + "s"
}

// took formats a duration in seconds.
func took(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// sentence turns a message of the database into a sentence.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	message = string(unicode.ToUpper(first)) + message[size:]
	if !strings.HasSuffix(message, ".") {
		message += "."
	}
	return message
}
