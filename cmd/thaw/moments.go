package main

import (
	"text/tabwriter"

	"github.com/thawline/thaw/internal/readmodel"
)

// printMoments prints the entries of an audit log, newest first.
func printMoments(e *env, moments []readmodel.Moment, asJSON bool) error {
	if asJSON {
		return writeJSON(e.stdout, moments)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	printf(w, "AT\tACTION\tTARGET\tBY\tREASON\n")
	for _, m := range moments {
		printf(w, "%s\t%s\t%s\t%s\t%s\n", stamp(m.At), m.What, targetOf(m), m.By, m.Reason)
	}
	return w.Flush()
}

// targetOf names the target of an action within its workspace.
func targetOf(m readmodel.Moment) string {
	switch {
	case m.Account != "":
		return "account " + m.Account
	case m.Campaign != "":
		return "campaign " + m.Campaign
	default:
		return "all"
	}
}
