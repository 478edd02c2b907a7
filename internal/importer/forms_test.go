package importer_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// wide returns a file with all columns, also the optional ones.
func wide(lines ...fields) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	columns := slices.Concat(importer.Optional, importer.Columns)
	_ = w.Write(columns)
	for _, line := range lines {
		record := make([]string, len(columns))
		for i, column := range columns {
			value, changed := line[column]
			if !changed {
				value = plain[column]
			}
			record[i] = value
		}
		_ = w.Write(record)
	}
	w.Flush()
	return b.String()
}

// problemLines returns the problems of a file.
func problemLines(t *testing.T, db *testdb.DB, content string) []string {
	t.Helper()
	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{})
	var problems importer.Problems
	require.ErrorAs(t, err, &problems)
	return strings.Split(problems.Error(), "\n")
}

func TestAccountsWithoutProspects(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	result := load(t, db, "workspace,account,member,account_status,account_name,timezone\nacme,seat-1,jane,connected,Jane D.,Europe/Berlin\nglobex,seat-2,,removed,,\n")
	require.Equal(t, []int64{2, 2, 2, 0, 0}, []int64{result.Rows, result.Accounts, result.Workspaces, result.Enrollments, result.Unchanged})
	accounts := "SELECT concat_ws('|', provider_account_id, status, display_name, timezone) FROM thaw.accounts ORDER BY id"
	require.Equal(t, []string{"seat-1|connected|Jane D.|Europe/Berlin", "seat-2|removed|"}, testdb.Column[string](t, db, accounts))

	// In a file with prospects, their columns are empty in the line of such an account.
	none := fields{"account": "seat-3", "campaign": "", "campaign_status": "", "prospect_url": "", "status": ""}
	result = load(t, db, file(none, fields{}))
	require.Equal(t, []int64{2, 2, 1, 1}, []int64{result.Rows, result.Accounts, result.Enrollments, result.Inserted})
	require.Equal(t, []string{"seat-1|connected|Jane D.|Europe/Berlin", "seat-2|removed|", "seat-3|connected|"},
		testdb.Column[string](t, db, accounts), "an empty value keeps the name and the zone")
	verified(t, db)

	require.Equal(t, []string{`line 2, column prospect_url: must be an http or https URL with a host, like https://www.linkedin.com/in/jane-doe, or an e-mail address`},
		problemLines(t, db, file(none.with("campaign", "spring").with("campaign_status", "running").with("status", "active"))))
	require.Contains(t, problemLines(t, db, "workspace,account\nacme,seat-1\n")[0], "column member: is missing from the header")
	require.Contains(t, problemLines(t, db, "workspace,account,member,account_status,external_id\nacme,seat-1,,connected,7\n")[0], "column campaign: is missing from the header")
}

func TestNamesAndIDs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(fields{}, fields{"prospect_url": prospect("kept")}))
	db.Exec(t, "UPDATE thaw.enrollments SET step = 3 WHERE prospect_url = $1", prospect("kept"))
	line := fields{
		"workspace_name": "Acme, Inc.", "workspace_external_id": "w7", "account_name": "Jane D.", "account_external_id": "a7", "timezone": "Asia/Tokyo",
		"campaign_name": "Spring 2026", "campaign_external_id": "c7", "external_id": "l1",
	}
	content := wide(line, line.with("prospect_url", prospect("kept")).with("external_id", "l2"), line.with("prospect_url", prospect("new")).with("external_id", "l3"))
	for _, updated := range []int64{0, 0} {
		result := load(t, db, content)
		require.Equal(t, updated, result.Updated)
		require.EqualValues(t, 1, result.NewerEnrollments)
		require.Equal(t, "Acme, Inc.|w7|Jane D.|a7|Asia/Tokyo|Spring 2026|c7", testdb.Value[string](t, db, `
			SELECT concat_ws('|', w.name, w.external_id, a.display_name, a.external_id, a.timezone, c.name, c.external_id)
			FROM thaw.workspaces AS w, thaw.accounts AS a, thaw.campaigns AS c`))
		require.Equal(t, []string{"ada l1", "kept l2", "new l3"}, testdb.Column[string](t, db,
			"SELECT substr(prospect_url, 29) || ' ' || external_id FROM thaw.enrollments ORDER BY 1"))
	}
	load(t, db, file(fields{}))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(external_id) FROM thaw.enrollments"), "a file without IDs keeps them")
	verified(t, db)
}

// The ID identifies a prospect: its URL may change, and it may be in a campaign several times.
func TestProspectsWithIDs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	twice := []fields{{"external_id": "1"}, {"external_id": "2", "status": "replied"}}
	require.EqualValues(t, 2, load(t, db, wide(twice...)).Inserted)
	require.EqualValues(t, 2, load(t, db, wide(twice...)).Unchanged)
	require.EqualValues(t, 1, load(t, db, wide(twice[0].with("prospect_url", prospect("ada-l")))).Updated)
	rows := "SELECT concat_ws(' ', external_id, substr(prospect_url, 29), status) FROM thaw.enrollments ORDER BY id"
	require.Equal(t, []string{"1 ada-l active", "2 ada replied"}, testdb.Column[string](t, db, rows))

	// Of the lines with the URL of a row without an ID, the first gets that row.
	load(t, db, file(fields{"prospect_url": prospect("bob")}))
	bob := fields{"prospect_url": prospect("bob")}
	result := load(t, db, wide(bob.with("external_id", "3"), bob.with("external_id", "4")))
	require.Equal(t, []int64{1, 1}, []int64{result.Inserted, result.Unchanged})
	require.Equal(t, []string{"1 ada-l active", "2 ada replied", "3 bob active", "4 bob active"}, testdb.Column[string](t, db, rows))
	verified(t, db)

	require.Equal(t, []string{
		`line 2, column prospect_url: is in campaign "spring" in the database several times: give the prospects IDs of their own (external_id) to tell them apart (found "https://www.linkedin.com/in/bob")`,
	}, problemLines(t, db, wide(bob)))
	require.Equal(t, []string{
		`line 2, column external_id: is the ID of a prospect in campaign "spring" in the database, not in "autumn": a prospect cannot move to another campaign (found "3")`,
		`line 3, column external_id: is also the ID of the prospect on line 2: two rows cannot have one ID (found "3")`,
		`line 4, column timezone: is not a time zone: use a name such as Europe/Berlin (found "Mars")`,
		`line 6, column account_external_id: is also the ID of account "seat-4" on line 5: two rows cannot have one ID (found "a")`,
	}, problemLines(t, db, wide(
		bob.with("campaign", "autumn").with("external_id", "3"), bob.with("external_id", "3"),
		fields{"account": "seat-3", "timezone": "Mars", "prospect_url": prospect("x")},
		fields{"account": "seat-4", "account_external_id": "a", "prospect_url": prospect("y")},
		fields{"account": "seat-5", "account_external_id": "a", "prospect_url": prospect("z")})))
	load(t, db, wide(fields{"account_external_id": "a1", "external_id": "1", "prospect_url": prospect("ada-l")}))
	require.Equal(t, []string{
		`line 2, column account_external_id: differs from the database, where account "seat-1" has the ID "a1": a file cannot change an ID (found "a2")`,
		`line 3, column account_external_id: is the ID of account "seat-1" in the database: two rows cannot have one ID (found "a1")`,
	}, problemLines(t, db, wide(fields{"account_external_id": "a2", "external_id": "9"}, fields{"account": "seat-2", "account_external_id": "a1", "external_id": "10"})))
}

func TestAddressesWithoutScheme(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(fields{"prospect_url": "www.linkedin.com/in/ada"}, fields{"prospect_url": "linkedin.com/in/bob?x=1"}))
	require.Equal(t, []string{"https://linkedin.com/in/bob?x=1", "https://www.linkedin.com/in/ada"},
		testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.enrollments ORDER BY 1"))
	for _, value := range []string{"ada", "javascript:alert(1)", "mailto:ada", "/in/ada", "ftp://linkedin.com/in/ada", "https:linkedin.com", "1.5:x"} {
		require.Contains(t, problemLines(t, db, file(fields{"prospect_url": value}))[0], "must be an http or https URL", value)
	}
}

func TestAccountsOfSeveralProviders(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := wide(fields{}, fields{"provider": "email", "prospect_url": prospect("bob"), "account_status": "disconnected"})
	require.EqualValues(t, 2, load(t, db, content).Accounts)
	require.EqualValues(t, 2, load(t, db, content).Unchanged)
	require.Equal(t, []string{"ada linkedin connected", "bob email disconnected"}, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', substr(e.prospect_url, 29), a.provider, a.status)
		FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id WHERE a.provider_account_id = 'seat-1' ORDER BY 1`))
	verified(t, db)
}

// What sending needs to know is optional. An empty value keeps that of the database.
func TestColumnsOfSending(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	line := fields{"tier": "premium", "timezone": "Europe/Berlin", "ramp_started_on": "2026-01-05", "next_kind": "invite"}
	state := func() string {
		return testdb.Value[string](t, db, `
			SELECT concat_ws(' ', a.tier, e.step, e.next_kind, to_char(s.ramp_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
			FROM thaw.accounts AS a JOIN thaw.enrollments AS e ON e.account_id = a.id
			LEFT JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id LEFT JOIN thaw.senders AS s ON s.id = sending.sender_id`)
	}
	load(t, db, wide(line))
	require.Equal(t, "premium 0 invite 2026-01-04 23:00", state())
	require.EqualValues(t, 1, load(t, db, wide(line)).Unchanged)
	require.EqualValues(t, 1, load(t, db, file(fields{"step": "1"})).Updated)
	require.Equal(t, "premium 1 invite 2026-01-04 23:00", state(), "an older file keeps them")
	require.EqualValues(t, 1, load(t, db, wide(line.with("step", "1").with("next_kind", "message").with("tier", "recruiter"))).Updated)
	require.Equal(t, "recruiter 1 message 2026-01-04 23:00", state())

	// Once an action was sent, the ramp follows from what happened.
	db.Exec(t, "UPDATE thaw.senders SET last_sent_at = thaw.now(), ramp_started_at = '2026-01-20Z'")
	load(t, db, wide(line.with("step", "1").with("next_kind", "message")))
	require.Equal(t, "premium 1 message 2026-01-20 00:00", state())
	verified(t, db)

	require.Equal(t, []string{
		`line 2, column tier: must be empty or one of free, premium, sales_navigator, recruiter (found "gold")`,
		`line 2, column ramp_started_on: must be a date from 2000-01-01 to today, like 2026-01-31 (found "2199-01-01")`,
		`line 2, column next_kind: must be empty or one of email, inmail, invite, message, view (found "fax")`,
	}, problemLines(t, db, wide(fields{"tier": "gold", "ramp_started_on": "2199-01-01", "next_kind": "fax"})))
	require.Equal(t, []string{`line 3, column tier: differs from line 2, where the same account has "free": all rows of an account must agree (found "premium")`},
		problemLines(t, db, wide(fields{"tier": "free"}, fields{"tier": "premium", "prospect_url": prospect("x")})))
}
