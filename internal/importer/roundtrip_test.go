package importer_test

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// Each case runs two imports.
var _ = testdb.RandomCases(8)

var (
	// Names with special characters of CSV and SQL. The importer rejects names that begin or end
	// with a space or have a line break.
	name          = rapid.Map(rapid.StringOfN(rapid.SampledFrom([]rune("ab \"',;\\%é世\U0001F9CA")), 1, 6, -1), func(s string) string { return strings.TrimSpace(s) + "." })
	accountStates = rapid.SampledFrom([]string{"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed"})
	campaignState = rapid.SampledFrom([]string{"draft", "running", "paused", "completed"})
	states        = rapid.SampledFrom([]string{"pending", "active", "paused", "completed", "replied", "failed", "removed"})
	ownReasons    = rapid.SampledFrom([]string{"account_disconnected", "account_issue", "account_restricted", "paused_by_user"})
	allReasons    = rapid.OneOf(ownReasons, rapid.SampledFrom([]string{"high_failure_rate", "subscription_inactive"}))
	// All accepted times, including both ends of the range.
	firstMoment = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastMoment  = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	moments     = rapid.Custom(func(t *rapid.T) string {
		zone := time.FixedZone("", rapid.IntRange(-12*4, 14*4).Draw(t, "quarter hours")*900)
		return time.UnixMicro(rapid.Int64Range(firstMoment, lastMoment).Draw(t, "µs")).In(zone).Format(time.RFC3339Nano)
	})
)

// fleets draws the lines of a valid file. It uses few names for many lines, so that successive
// files have rows in common.
var fleets = rapid.Custom(func(t *rapid.T) []fields {
	accounts := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) fields {
		number := rapid.IntRange(1, 6).Draw(t, "account")
		return fields{
			// An account cannot move to another workspace.
			"workspace": fmt.Sprintf("w\"%d", number%2), "account": fmt.Sprintf("account %d,", number),
			"member": rapid.OneOf(rapid.Just(""), name).Draw(t, "member"), "account_status": accountStates.Draw(t, "account status"),
			"account_name": rapid.OneOf(rapid.Just(""), name).Draw(t, "account name"),
		}
	}), 1, 6, func(f fields) string { return f["account"] }).Draw(t, "accounts")
	campaigns := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) fields {
		f := fields{
			"campaign": name.Draw(t, "campaign"), "campaign_status": campaignState.Draw(t, "campaign status"),
			"campaign_name": rapid.OneOf(rapid.Just(""), name).Draw(t, "campaign name"),
		}
		if f["campaign_status"] == "paused" {
			f["campaign_paused_reason"] = allReasons.Draw(t, "campaign reason")
		}
		return f
	}), 1, 4, func(f fields) string { return f["campaign"] }).Draw(t, "campaigns")
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) fields {
		f := fields{
			"prospect_url": prospect(url.PathEscape(name.Draw(t, "prospect"))),
			"status":       states.Draw(t, "status"),
			"step":         strconv.Itoa(int(rapid.Int32Range(0, 1<<31-1).Draw(t, "step"))),
		}
		if rapid.Bool().Draw(t, "has a next action") {
			f["next_action_at"] = moments.Draw(t, "next action")
		}
		if f["status"] == "paused" {
			f["paused_reason"], f["paused_at"] = ownReasons.Draw(t, "reason"), moments.Draw(t, "paused at")
		}
		for _, part := range []fields{rapid.SampledFrom(accounts).Draw(t, "on"), rapid.SampledFrom(campaigns).Draw(t, "in")} {
			for column, value := range part {
				f[column] = value
			}
		}
		if rapid.Bool().Draw(t, "has an ID") {
			f["external_id"] = f["campaign"] + "/" + f["prospect_url"]
		}
		return f
	}), 0, 40, func(f fields) [3]string { return [3]string{f["workspace"], f["campaign"], f["prospect_url"]} }).Draw(t, "lines")
})

func TestImportStoresAnyValidFleet(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rapid.Check(t, func(r *rapid.T) {
		db.Advance(t, time.Minute)
		lines := fleets.Draw(r, "fleet")
		content := wide(lines...)
		overwrite := func() importer.Result {
			result, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{Overwrite: true})
			require.NoError(r, err)
			return result
		}
		result := overwrite()
		require.EqualValues(r, len(lines), result.Rows)
		require.Equal(r, result.Rows, result.Inserted+result.Updated+result.Unchanged)
		for _, line := range lines {
			requireStored(t, r, db, line)
		}
		require.EqualValues(r, len(lines), overwrite().Unchanged, "the second import changes nothing")
	})
}

// requireStored requires that the database matches a line.
func requireStored(t *testing.T, r *rapid.T, db *testdb.DB, line fields) {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT a.provider_account_id, coalesce(a.member_id, ''), a.status::text, c.status::text, coalesce(c.paused_reason::text, ''),
			e.status::text, coalesce(e.paused_reason::text, ''), e.step::text, a.display_name, c.name, coalesce(e.external_id, ''),
			e.paused_at, e.next_action_at
		FROM thaw.enrollments AS e
		JOIN thaw.workspaces AS w ON w.id = e.workspace_id
		JOIN thaw.accounts AS a ON a.id = e.account_id
		JOIN thaw.campaigns AS c ON c.id = e.campaign_id
		WHERE w.key = $1 AND c.key = $2 AND e.prospect_url = $3`, line["workspace"], line["campaign"], line["prospect_url"])
	require.NoError(r, err)
	var (
		texts                  [11]string
		pausedAt, nextActionAt *time.Time
	)
	targets := make([]any, 0, 13)
	for i := range texts {
		targets = append(targets, &texts[i])
	}
	tag, err := pgx.ForEachRow(rows, append(targets, &pausedAt, &nextActionAt), func() error { return nil })
	require.NoError(r, err)
	require.EqualValues(r, 1, tag.RowsAffected())

	// An empty value keeps that of the database.
	kept := func(column string, stored string) string { return cmp.Or(line[column], stored) }
	require.Equal(r, [11]string{
		line["account"], kept("member", texts[1]), line["account_status"], line["campaign_status"], line["campaign_paused_reason"],
		line["status"], line["paused_reason"], line["step"],
		kept("account_name", texts[8]), kept("campaign_name", texts[9]), kept("external_id", texts[10]),
	}, texts)
	// A backdated pause starts at the last resume.
	if !testdb.Value[bool](t, db, `
		SELECT EXISTS (
			SELECT FROM thaw.enrollments AS e JOIN thaw.enrollment_events AS event ON event.enrollment_id = e.id AND event.at = e.paused_at
			WHERE e.prospect_url = $1 AND event.kind = 'resumed')`, line["prospect_url"]) {
		requireMoment(r, line["paused_at"], pausedAt)
	}
	requireMoment(r, line["next_action_at"], nextActionAt)
}

func requireMoment(r *rapid.T, want string, got *time.Time) {
	if want == "" {
		require.Nil(r, got)
		return
	}
	require.NotNil(r, got)
	moment, err := time.Parse(time.RFC3339Nano, want)
	require.NoError(r, err)
	require.True(r, moment.Equal(*got), "want %s, got %s", moment, got)
}

// The columns are a public contract.
func TestColumns(t *testing.T) {
	t.Parallel()
	require.Equal(t, "workspace,account,member,account_status,campaign,campaign_status,campaign_paused_reason,prospect_url,status,paused_reason,paused_at,step,next_action_at", header)
	require.Len(t, importer.Columns, 13)
}
