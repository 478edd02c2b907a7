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
)

// words are what the templates call.
var words = template.FuncMap{
	"reason": func(key string) string { return say(reasons, key) },
	"status": func(key string) string { return say(statuses, key) },
	"code":   func(key any) string { return say(codes, fmt.Sprint(key)) },
	"actor":  func(key any) string { return say(actors, fmt.Sprint(key)) },
	"kind":   func(key string) string { return say(kinds, key) },
	"source": func(key string) string { return say(sources, key) },
	"what":   func(key string) string { return say(actions, key) },
	"count":  count,
	"many":   many,
	"took":   took,
	"rfc":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"utc":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"prospectPath": func(prospectURL string) string {
		return "/prospects?" + url.Values{"url": {prospectURL}}.Encode()
	},
	"deref": func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	},
	"startsWith": strings.HasPrefix,
	"pathTo":     pathTo,
	// A prospect's URL is any text: only one that leads to a web site is made a link.
	"isWeb": func(address string) bool {
		return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
	},
}

var reasons = map[string]string{
	"linkedin_account_disconnected": "account disconnected",
	"linkedin_account_issue":        "account in trouble",
	"account_restricted":            "account restricted",
	"linkedin_high_failure_rate":    "too many failures",
	"subscription_inactive":         "subscription inactive",
	"paused_by_user":                "paused by a person",
}

var statuses = map[string]string{
	"needs_verification": "needs verification",
}

var codes = map[string]string{
	"active":                     "active",
	"account_not_connected":      "account not connected",
	"no_connected_sibling":       "no account of the person connected",
	"sibling_in_other_workspace": "connected in another workspace",
	"account_on_hold":            "account on hold",
	"account_locked":             "account locked",
	"account_flapping":           "account flapping",
	"safety_mode":                "safety mode",
	"campaign_not_running":       "campaign not running",
	"paused_by_user":             "paused by a person",
	"account_restricted":         "account restricted",
	"subscription_inactive":      "subscription inactive",
	"auto_resume_off":            "auto-resume off",
	"terminal":                   "at its end",
	"waiting_for_sweep":          "waiting in line",
	"not_found":                  "not found",
}

var actors = map[string]string{
	"nobody": "nobody: it goes on by itself", "user": "the user", "operator": "an operator", "billing": "billing", "provider": "the provider",
}

var kinds = map[string]string{
	"moved": "moved to another account", "released": "given back by a person",
}

var sources = map[string]string{
	"operator": "a person", "platform": "the platform",
}

var actions = map[string]string{
	"status": "status changed", "held": "held", "hold_corrected": "hold corrected", "paused": "paused", "resumed": "given back", "auto_resume_off": "auto-resume off",
	"auto_resume_on": "auto-resume on", "safety_entered": "safety mode began", "safety_exited": "safety mode ended",
	"heal_cap_set": "cap for heals set", "heal_cap_removed": "cap for heals removed",
}

// notices are what a page says after a decision, by the key in its address.
var notices = map[string]string{
	"held":           "The account rests until then.",
	"hold-corrected": "The hold is corrected, and the correction recorded.",
	"paused":         "Paused, until a person resumes it.",
	"resumed":        "Given back: the next ticks resume it, within their caps.",
	"campaign":       "The campaign runs again; who waits in it is resumed by the next ticks.",
	"stopped":        "The campaign is paused; its prospects stay as they are.",
	"nothing":        "It was so already: nothing has changed.",
	"safety-entered": "Safety mode is on.",
	"safety-exited":  "Safety mode is off. The next tick goes on, within its caps.",
	"auto-resume":    "Auto-resume is switched.",
	"heal":           "The heal has begun.",
}

// say finds the word for a key of the database; a key that has none is said as it is.
func say(all map[string]string, key string) string {
	if word, known := all[key]; known {
		return word
	}
	return strings.ReplaceAll(key, "_", " ")
}

// count writes a number in groups, as 12 345; a pointer to none is a dash.
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
			b.WriteString("\u202f")
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// many writes a number of things: 1 account, 2 accounts.
func many(n any, thing string) string {
	number := count(n)
	if number == "1" {
		return number + " " + thing
	}
	return number + " " + thing + "s"
}

// took writes how long something lasted.
func took(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// sentence makes one of a message of the database.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	message = string(unicode.ToUpper(first)) + message[size:]
	if !strings.HasSuffix(message, ".") {
		message += "."
	}
	return message
}
