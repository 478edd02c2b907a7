package main

import (
	"github.com/thawline/thaw/internal/readmodel"
)

// printHistory prints the entries of an audit log, newest first.
func printHistory(e *env, history readmodel.History, flags listFlags) error {
	if history.HasMore {
		defer flags.sayUncounted(e, "entries")
	}
	if flags.JSON {
		return writeJSON(e.stdout, history.Entries)
	}
	t := newTable(fixed("AT (UTC)"), fixed("ACTION"), text("TARGET"), text("BY"), text("REASON"))
	for _, m := range history.Entries {
		t.add(minute(&m.At, ""), m.What, targetOf(m), m.Actor, m.Reason)
	}
	t.write(e.stdout)
	return nil
}

// targetOf names the target of an action within its workspace.
func targetOf(m readmodel.HistoryEntry) string {
	switch {
	case m.Account != "":
		return "account " + m.Account
	case m.Campaign != "":
		return "campaign " + m.Campaign
	case m.Detail != "":
		return m.Detail
	default:
		return "all"
	}
}
