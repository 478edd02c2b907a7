package pages

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesOfProspects(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://www.linkedin.com/in/jane-doe-1a2b3c":          "Jane Doe",
		"linkedin.com/in/jane-doe/":                            "Jane Doe",
		"https://de.linkedin.com/in/j%C3%BCrgen-m%C3%BCller?x": "Jürgen Müller",
		"https://www.linkedin.com/in/4711":                     "4711",
		"https://www.linkedin.com/in/ACoAABcd":                 "ACoAABcd",
		"https://www.linkedin.com/sales/lead/ACwAA,x,y":        "linkedin.com/sales/lead/ACwAA,x,y",
		"https://example.com/people/7":                         "example.com/people/7",
		"https://www.linkedin.com/in/%00":                      "linkedin.com/in/%00",
		"https://www.linkedin.com/in/---":                      "linkedin.com/in/---",
		"crm:4711":                                             "crm:4711",
	} {
		require.Equal(t, want, prospectName(address), address)
	}
}

func TestTimesInSentences(t *testing.T) {
	t.Parallel()
	const said = "Account <b> resumes at 2026-07-01T10:00Z, not 2026-07-01T11:30Z."
	require.Equal(t, `Account &lt;b&gt; resumes at <time datetime="2026-07-01T10:00:00Z">2026-07-01 10:00 UTC</time>, not `+
		`<time datetime="2026-07-01T11:30:00Z">2026-07-01 11:30 UTC</time>.`, string(timed(said)))
	require.Equal(t, "Account <b> resumes at Wednesday 1 July, 12:00 (Europe/Berlin), not Wednesday 1 July, 13:30 (Europe/Berlin).", reply(said, "Europe/Berlin"))
	require.Contains(t, reply(said, "Nowhere/Else"), "Wednesday 1 July, 10:00 (UTC)")
	require.Equal(t, "2026-99-99T10:00Z", reply("2026-99-99T10:00Z", ""))
}
