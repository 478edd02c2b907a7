package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// problemsOf returns the problems of an invalid file.
func problemsOf(t testing.TB, db *testdb.DB, content string) importer.Problems {
	t.Helper()
	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{})
	var problems importer.Problems
	require.ErrorAs(t, err, &problems)
	return problems
}

var header = strings.Join(importer.Columns, ",")

func TestProblems(t *testing.T) {
	t.Parallel()
	// All cases share one database, because none of them changes it.
	db := testdb.New(t)
	db.Exec(t, `
		WITH owner AS (INSERT INTO thaw.workspaces (key) VALUES ('owner') RETURNING id)
		INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT id, 'taken' FROM owner`)
	good := fields{"prospect_url": prospect("good")}
	goodLine := strings.TrimPrefix(file(good), header+"\n")
	for name, c := range map[string]struct {
		content string
		// want has the beginnings of the lines of the error.
		want []string
	}{
		"empty file":          {"", []string{"line 1: the file is empty"}},
		"no header":           {goodLine, []string{"line 1: is not a header: the first line must have the columns workspace,account,"}},
		"semicolons":          {strings.ReplaceAll(file(good), ",", ";"), []string{"line 1: uses semicolons as separators: use commas"}},
		"a missing column":    {strings.Replace(file(good), ",step", "", 1), []string{"line 1, column step: is missing from the header"}},
		"an unknown column":   {strings.Replace(file(good), ",step", ",steps", 1), []string{`line 1, column "steps": is not a known column`, "line 1, column step: is missing"}},
		"a column twice":      {strings.Replace(file(good), ",step", ",status", 1), []string{"line 1, column status: appears twice in the header", "line 1, column step: is missing"}},
		"a quote in a header": {"wor\"kspace\n", []string{"line 1: has a quote in an unquoted field"}},

		"too few fields":             {header + "\n" + goodLine + "acme,seat-1\n", []string{"line 3: must have 13 fields"}},
		"too many fields":            {header + "\n" + strings.TrimSuffix(goodLine, "\n") + ",\n", []string{"line 2: must have 13 fields"}},
		"an open quote":              {header + "\n" + goodLine + "\"acme,seat-1\n" + goodLine, []string{"line 3: has an unclosed quoted field"}},
		"text after a quote":         {header + "\n\"ac\"me,\n", []string{"line 2: has an unclosed quoted field, or a quote in a quoted field that is not doubled (detected on line 2)"}},
		"a quote inside a field":     {header + "\nac\"me,\n" + goodLine + "\n\nx\n", []string{"line 2: has a quote in an unquoted field", "line 6: must have 13 fields"}},
		"an open quote and no end":   {header + "\n" + goodLine + "\"" + strings.Repeat("acme\n", 1<<19), []string{"line 3: is longer than 1048576 bytes"}},
		"a line after a long field":  {file(good.with("campaign", "a\nb\nc"), fields{"step": "x"}), []string{"line 2, column campaign: has an invisible character (U+000A)", "line 5, column step: must be a whole number"}},
		"a field after a long field": {file(fields{"workspace": "a\nb", "step": "x"}), []string{"line 2, column workspace: has an invisible character (U+000A)", "line 3, column step: must be a whole number"}},

		"no workspace":             {file(fields{"workspace": ""}), []string{"line 2, column workspace: must not be empty"}},
		"no account":               {file(fields{"account": ""}), []string{"line 2, column account: must not be empty"}},
		"no campaign":              {file(fields{"campaign": ""}), []string{"line 2, column campaign: must not be empty"}},
		"a NUL":                    {file(good, fields{"member": "ja\x00ne"}), []string{`line 3, column member: has a NUL byte (found "ja\x00ne")`}},
		"invalid UTF-8":            {file(fields{"campaign": "caf\xe9"}), []string{`line 2, column campaign: is not valid UTF-8 (found "caf\xe9")`}},
		"a field that is too long": {file(fields{"account": strings.Repeat("x", 2001)}), []string{"line 2, column account: is 2001 bytes long: at most 2000 are allowed (found \"xxx"}},

		"no account status":           {file(fields{"account_status": ""}), []string{"line 2, column account_status: must be one of connecting, connected, needs_verification, disconnected, restricted, error, removed"}},
		"an unknown account status":   {file(fields{"account_status": "OK"}), []string{"line 2, column account_status: must be one of connecting,"}},
		"an unknown campaign status":  {file(fields{"campaign_status": "on"}), []string{"line 2, column campaign_status: must be one of draft, running, paused, completed (found \"on\")"}},
		"an unknown status":           {file(fields{"status": "Active"}), []string{"line 2, column status: must be one of pending, active, paused, completed, replied, failed, removed (found \"Active\")"}},
		"an unknown campaign reason":  {file(fields{"campaign_status": "paused", "campaign_paused_reason": "fun"}), []string{"line 2, column campaign_paused_reason: must be empty or one of account_disconnected, account_issue, account_restricted, high_failure_rate, subscription_inactive, paused_by_user (found"}},
		"a reason only for campaigns": {file(waiting(prospect("a")).with("paused_reason", "subscription_inactive")), []string{"line 2, column paused_reason: must be empty or one of account_disconnected, account_issue, account_restricted, paused_by_user (found"}},

		"paused without a reason":           {file(waiting(prospect("a")).with("paused_reason", "")), []string{"line 2, column paused_reason: must not be empty if status is paused: it must be one of account_disconnected,"}},
		"paused without a time":             {file(waiting(prospect("a")).with("paused_at", "")), []string{"line 2, column paused_at: must not be empty if status is paused"}},
		"a reason without a pause":          {file(waiting(prospect("a")).with("status", "active")), []string{"line 2, column paused_reason: must be empty if status is active", "line 2, column paused_at: must be empty if status is active"}},
		"a campaign paused without reason":  {file(fields{"campaign_status": "paused"}), []string{"line 2, column campaign_paused_reason: must not be empty if campaign_status is paused"}},
		"a campaign's reason without pause": {file(fields{"campaign_paused_reason": "paused_by_user"}), []string{"line 2, column campaign_paused_reason: must be empty if campaign_status is running"}},

		"a time without a zone": {file(fields{"next_action_at": "2026-01-02T03:04:05"}), []string{`line 2, column next_action_at: must be a time with a zone, like 2026-01-02T15:04:05Z or 2026-01-02 15:04:05+00 (found "2026-01-02T03:04:05")`}},
		"an invalid date":       {file(waiting(prospect("a")).with("paused_at", "2026-02-30T03:04:05Z")), []string{"line 2, column paused_at: must be a time with a zone"}},
		"times out of range": {file(
			waiting(prospect("a")).with("paused_at", "1970-01-01T00:00:00Z"), waiting(prospect("b")).with("paused_at", "2000-01-01 00:59:59+01"),
			fields{"prospect_url": prospect("c"), "next_action_at": "2200-01-01T00:00:00.000001Z"}, fields{"prospect_url": prospect("d"), "next_action_at": "9999-12-31T00:00:00Z"}), []string{
			`line 2, column paused_at: must be a time from 2000-01-01T00:00:00Z to 2200-01-01T00:00:00Z (found "1970-01-01T00:00:00Z")`,
			"line 3, column paused_at: must be a time from 2000-01-01T00:00:00Z", "line 4, column next_action_at: must be a time from", "line 5, column next_action_at: must be a time from"}},
		"a negative step":               {file(fields{"step": "-1"}), []string{"line 2, column step: must be a whole number from 0"}},
		"a fractional step":             {file(fields{"step": "1.5"}), []string{"line 2, column step: must be a whole number from 0"}},
		"a step out of range":           {file(fields{"step": "2147483648"}), []string{"line 2, column step: must be a whole number from 0"}},
		"no prospect":                   {file(fields{"prospect_url": ""}), []string{"line 2, column prospect_url: must be an http or https URL with a host"}},
		"a relative prospect URL":       {file(fields{"prospect_url": "/in/ada"}), []string{"line 2, column prospect_url: must be"}},
		"half an e-mail address":        {file(fields{"prospect_url": "mailto:ada@example"}), []string{"line 2, column prospect_url: must be"}},
		"a prospect URL without a host": {file(fields{"prospect_url": "https:///in/ada"}), []string{"line 2, column prospect_url: must be"}},

		"an account in two workspaces": {file(good, fields{"workspace": "globex"}), []string{
			`line 3, column workspace: differs from line 2, where the same account has "acme": all rows of an account must agree (found "globex")`}},
		"an account of two members": {file(good, fields{"prospect_url": prospect("b")}, fields{"member": ""}), []string{
			`line 4, column member: differs from line 2, where the same account has "jane"`}},
		"an account in two states": {file(good, fields{"account_status": "error"}), []string{
			`line 3, column account_status: differs from line 2, where the same account has "connected"`}},
		"a campaign in two states": {file(good, fields{"campaign_status": "draft"}), []string{
			`line 3, column campaign_status: differs from line 2, where the same campaign has "running"`}},
		"a campaign paused for two reasons": {file(
			good.with("campaign_status", "paused").with("campaign_paused_reason", "paused_by_user"),
			fields{"campaign_status": "paused", "campaign_paused_reason": "subscription_inactive"}), []string{
			`line 3, column campaign_paused_reason: differs from line 2, where the same campaign has "paused_by_user"`}},
		"a prospect in two spellings": {file(good.with("prospect_url", "https://www.linkedin.com/in/ada"), good.with("prospect_url", "http://linkedin.com/in/ADA/?trk=x")), []string{
			`line 3, column prospect_url: is already in campaign "spring" on line 2, spelled https://www.linkedin.com/in/ada: a campaign can have a prospect only once`}},
		"invisible characters in names": {file(good.with("account", "seat-1 "), good.with("workspace", "\u00a0acme"), good.with("campaign", "spr\u200bing"), good.with("member", "m\t"),
			good.with("prospect_url", "https://www.linkedin.com/in/ada\u00a0")), []string{
			"line 2, column account: has a space at its end: delete it", "line 3, column workspace: has an invisible character (U+00A0) at its start",
			"line 4, column campaign: has an invisible character (U+200B)", "line 5, column member: has an invisible character (U+0009)",
			"line 6, column prospect_url: has an invisible character (U+00A0) at its end"}},
		"a column without a name": {strings.Replace(file(good), "\n", ",\n", 1), []string{"line 1: has a column without a name (column 14 is empty)"}},
		"a prospect twice in a campaign": {file(good, plain, good.with("account", "seat-2")), []string{
			`line 4, column prospect_url: is already in campaign "spring" on line 2`}},
		"an account of another workspace": {file(good, fields{"account": "taken"}), []string{
			`line 3, column account: belongs to workspace "owner" in the database, not to "acme": an account cannot move to another workspace (found "taken")`}},

		"problems of a row and between rows": {file(good, good, fields{"step": "x"}, fields{"workspace": "globex"}), []string{
			"line 3, column prospect_url: is already in campaign", "line 4, column step: must be a whole number", "line 5, column workspace: differs from line 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, db, c.content)
			got := strings.Split(problems.Error(), "\n")
			require.Len(t, got, len(c.want), "%s", problems)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(got[i], want), "got  %s\nwant %s", got[i], want)
			}
			require.Equal(t, []int{1, 1, 0, 0}, testdb.Column[int](t, db, `
				SELECT count(*) FROM thaw.workspaces UNION ALL SELECT count(*) FROM thaw.accounts
				UNION ALL SELECT count(*) FROM thaw.campaigns UNION ALL SELECT count(*) FROM thaw.enrollments`), "nothing is imported")
		})
	}
}

// A prospect that the database has in another spelling would be in the campaign twice.
func TestImportRefusesAnotherSpellingOfAKnownProspect(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(
		fields{"prospect_url": "https://de.linkedin.com/in/ADA/?trk=x"},
		fields{"prospect_url": "https://www.linkedin.com/in/bob"},
		fields{"prospect_url": "https://www.linkedin.com/in/eve", "campaign": "summer"}))
	before := testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments")
	problems := problemsOf(t, db, file(
		fields{"prospect_url": "https://www.linkedin.com/in/ada"},
		fields{"prospect_url": "http://linkedin.com/in/BOB/"},
		fields{"prospect_url": "https://www.linkedin.com/in/new"},
		// In another campaign: not a problem.
		fields{"prospect_url": "http://linkedin.com/in/eve"}))
	require.Equal(t, []string{
		`line 2, column prospect_url: is already in campaign "spring" in the database, spelled https://de.linkedin.com/in/ADA/?trk=x: a campaign can have a prospect only once (found "https://www.linkedin.com/in/ada")`,
		`line 3, column prospect_url: is already in campaign "spring" in the database, spelled https://www.linkedin.com/in/bob: a campaign can have a prospect only once (found "http://linkedin.com/in/BOB/")`,
	}, strings.Split(problems.Error(), "\n"))
	require.Equal(t, before, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"), "nothing is imported")
	// With the spelling of the database the row is updated.
	require.EqualValues(t, 1, load(t, db, file(fields{"prospect_url": "https://de.linkedin.com/in/ADA/?trk=x", "step": "2"})).Updated)
}

// A platform may have a prospect twice in a campaign. A file cannot say which of the rows it means.
func TestImportRefusesALineThatMatchesSeveralRows(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(plain, fields{"prospect_url": prospect("bob")}))
	db.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT e.workspace_id, e.campaign_id, e.account_id, 'active', e.prospect_url FROM thaw.enrollments AS e WHERE e.prospect_url LIKE '%/ada'`)
	problems := problemsOf(t, db, file(plain.with("step", "3"), fields{"prospect_url": prospect("bob"), "step": "3"}))
	require.Equal(t, `line 2, column prospect_url: is in campaign "spring" in the database several times: give the prospects IDs of their own (external_id) `+
		`to tell them apart (found "https://www.linkedin.com/in/ada")`, problems.Error())
	require.Zero(t, testdb.Value[int](t, db, "SELECT sum(step) FROM thaw.enrollments"), "nothing is imported")
	require.EqualValues(t, 1, load(t, db, file(fields{"prospect_url": prospect("bob"), "step": "3"})).Updated)
}

func TestProblemNamesItsPosition(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	problems := problemsOf(t, db, file(plain, fields{"prospect_url": prospect("b"), "status": "sleeping"}))
	require.Len(t, problems.List, 1)
	problem := problems.List[0]
	require.Equal(t, 3, problem.Line)
	require.Equal(t, "status", problem.Column)
	require.Equal(t, "sleeping", problem.Value)
	require.Contains(t, problem.Message, "replied")
}

func TestProblemsBeyondTwentyAreCounted(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lines := make([]fields, 0, 60)
	for i := range 30 {
		lines = append(lines, fields{"step": "x", "prospect_url": prospect(fmt.Sprint("bad", i))}, fields{"prospect_url": prospect("twice")})
	}
	problems := problemsOf(t, db, file(lines...))
	require.Len(t, problems.List, 20)
	require.Equal(t, 30+29-20, problems.More)
	require.Equal(t, 2, problems.List[0].Line)
	require.True(t, strings.HasSuffix(problems.Error(), "\nand 39 more problems"), "%s", problems)
	requireEmpty(t, db)
}
