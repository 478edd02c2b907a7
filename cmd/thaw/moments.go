package main

import (
	"text/tabwriter"

	"github.com/thawline/thaw/internal/readmodel"
)

// printMoments prints a history, the newest first.
func printMoments(e *env, moments []readmodel.Moment, asJSON bool) error {
	if asJSON {
		return writeJSON(e.stdout, moments)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	printf(w, "AT\tWHAT\tABOUT\tBY\tWHY\n")
	for _, m := range moments {
		printf(w, "%s\t%s\t%s\t%s\t%s\n", stamp(m.At), m.What, about(m), m.By, m.Reason)
	}
	return w.Flush()
}

// about names what a decision was about, within the workspace whose history it is.
func about(m readmodel.Moment) string {
	switch {
	case m.Account != "":
		return "account " + m.Account
	case m.Campaign != "":
		return "campaign " + m.Campaign
	default:
		return "all"
	}
}
