package main

import (
	"text/tabwriter"

	"github.com/thawline/thaw/internal/readmodel"
)

// printHistory prints the entries of an audit log, newest first.
func printHistory(e *env, entries []readmodel.HistoryEntry, asJSON bool) error {
	if asJSON {
		return writeJSON(e.stdout, entries)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	printf(w, "AT\tACTION\tTARGET\tBY\tREASON\n")
	for _, m := range entries {
		printf(w, "%s\t%s\t%s\t%s\t%s\n", stamp(m.At), m.What, targetOf(m), m.Actor, m.Reason)
	}
	return w.Flush()
}

// targetOf names the target of an action within its workspace.
func targetOf(m readmodel.HistoryEntry) string {
	switch {
	case m.Account != "":
		return "account " + m.Account
	case m.Campaign != "":
		return "campaign " + m.Campaign
	default:
		return "all"
	}
}
