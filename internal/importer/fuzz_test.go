package importer

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// fuzzWords are the enum values of the schema.
var fuzzWords = vocabulary{
	accountStatus:        {"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed"},
	campaignStatus:       {"draft", "running", "paused", "completed"},
	campaignPausedReason: {"account_disconnected", "subscription_inactive", "paused_by_user"},
	status:               {"pending", "active", "paused", "completed", "replied", "failed", "removed"},
	pausedReason:         {"account_disconnected", "paused_by_user"},
}

// For any file, reading terminates, each line is either a row or has a problem with its position,
// and Postgres accepts each row.
func FuzzSource(f *testing.F) {
	header := strings.Join(Columns, ",")
	line := "acme,seat-1,jane,connected,spring,running,,https://www.linkedin.com/in/ada,active,,,3,2026-02-03T09:00:00Z"
	paused := "acme,seat-2,,disconnected,spring,paused,subscription_inactive,http://x/bob,paused,paused_by_user,2026-01-02 15:04:05+00,,"
	for _, content := range []string{
		"", "\n", header, header + "\n" + line, header + "\r\n" + line + "\r\n" + paused + "\r\n", "\xef\xbb\xbf" + header + "\n" + paused,
		header + "\n" + line[:40], header + "\n\"" + line, header + "\n" + strings.Replace(line, "jane", `ja"ne`, 1),
		header + "\n" + strings.Replace(line, "jane", "\"ja\nne\"", 1) + "\n,,,\n" + paused, header + "\n" + strings.Replace(line, "jane", "\x00\xff", 1),
		header + "," + header + "\n" + line, header + "\n" + strings.Repeat("\n", 50) + strings.Repeat(",,,\n", 50),
		header + "\n" + strings.Replace(line, "2026-02-03T09:00:00Z", "0000-01-01T00:00:00-23:59", 1),
		header + "\n" + strings.Replace(line, ",3,", ",99999999999999999999,", 1), header + "\n" + strings.Replace(line, "ada", strings.Repeat("a", maxField), 1),
	} {
		rows, below := strings.CutPrefix(content, header+"\n")
		f.Add(rows, below)
	}
	types := pgtype.NewMap()
	// Try the input with and without a header, because fuzzing does not find a header.
	f.Fuzz(func(t *testing.T, content string, below bool) {
		if below {
			content = header + "\n" + content
		}
		src, err := newSource(t.Context(), strings.NewReader(content), fuzzWords, nil)
		if err != nil {
			found, ok := errors.AsType[Problems](err)
			require.True(t, ok, "the error is not a problem of the file: %v", err)
			checkProblems(t, found, content)
			return
		}
		rows, last := int64(0), int64(0)
		for src.Next() {
			rows++
			values, err := src.Values()
			require.NoError(t, err)
			require.Len(t, values, 2+columnCount)
			require.Greater(t, src.row.line.Int64, last, "rows must be in the order of the file")
			last = src.row.line.Int64
			checkRow(t, types, src)
		}
		require.NoError(t, src.Err())
		require.LessOrEqual(t, rows, src.rows)
		if rows < src.rows {
			require.NotEmpty(t, src.problems.List, "an invalid line must have a problem")
		}
		if len(src.problems.List) > 0 {
			checkProblems(t, src.problems, content)
		}
	})
}

func checkRow(t *testing.T, types *pgtype.Map, src *source) {
	t.Helper()
	for column, text := range src.row.texts {
		require.True(t, utf8.ValidString(text.String) && !strings.ContainsRune(text.String, 0), "Postgres refuses %q", text.String)
		require.LessOrEqual(t, len(text.String), maxField)
		if words := fuzzWords[column]; words != nil && text.Valid {
			require.Contains(t, words, text.String)
		}
	}
	for _, column := range []int{workspace, account, campaign, prospectURL} {
		require.True(t, src.row.texts[column].Valid, allColumns[column])
	}
	require.Equal(t, src.row.texts[status].String == paused, src.row.texts[pausedReason].Valid)
	require.Equal(t, src.row.texts[status].String == paused, src.row.pausedAt.Valid)
	require.Equal(t, src.row.texts[campaignStatus].String == paused, src.row.texts[campaignPausedReason].Valid)
	require.GreaterOrEqual(t, src.row.step.Int32, int32(0))
	for _, at := range []pgtype.Timestamptz{src.row.pausedAt, src.row.nextActionAt} {
		_, err := types.Encode(pgtype.TimestamptzOID, pgtype.BinaryFormatCode, at, nil)
		require.NoError(t, err)
	}
}

func checkProblems(t *testing.T, found Problems, content string) {
	t.Helper()
	require.NotEmpty(t, found.List)
	require.LessOrEqual(t, len(found.List), maxProblems)
	require.GreaterOrEqual(t, found.More, 0)
	lines := 1 + strings.Count(content, "\n")
	for _, problem := range found.List {
		require.NotEmpty(t, problem.Message)
		require.True(t, problem.Line >= 1 && problem.Line <= lines, "line %d of %d: %s", problem.Line, lines, problem.Message)
		require.Less(t, len(problem.String()), 2000)
	}
	require.True(t, slices.IsSortedFunc(found.List, func(a, b Problem) int { return a.Line - b.Line }))
	require.NotEmpty(t, found.Error())
}
