package importer_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// fields are the values in which a line differs from plain, an active prospect on a connected
// account.
type fields map[string]string

var plain = fields{
	"workspace": "acme", "account": "seat-1", "member": "jane", "account_status": "connected",
	"campaign": "spring", "campaign_status": "running",
	"prospect_url": "https://www.linkedin.com/in/ada", "status": "active",
}

const pausedSince = "2026-01-02T15:04:05Z"

// waiting returns a line with a prospect that is paused because of its account.
func waiting(prospect string) fields {
	return fields{
		"prospect_url": prospect, "status": "paused", "paused_reason": "account_disconnected", "paused_at": pausedSince,
	}
}

// with returns the line with another field changed.
func (f fields) with(column, value string) fields {
	changed := fields{column: value}
	for name, old := range f {
		if name != column {
			changed[name] = old
		}
	}
	return changed
}

// prospect returns a prospect URL.
func prospect(name string) string { return "https://www.linkedin.com/in/" + name }

// file returns a CSV file with a header and these lines, which start at line 2.
func file(lines ...fields) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(importer.Columns)
	for _, line := range lines {
		record := make([]string, len(importer.Columns))
		for i, column := range importer.Columns {
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

// load imports a valid file.
func load(t testing.TB, db *testdb.DB, content string) importer.Result {
	t.Helper()
	result, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{})
	require.NoError(t, err)
	return result
}

// requireEmpty requires that nothing was imported.
func requireEmpty(t testing.TB, db *testdb.DB) {
	t.Helper()
	require.Zero(t, testdb.Value[int](t, db, `
		SELECT (SELECT count(*) FROM thaw.workspaces) + (SELECT count(*) FROM thaw.accounts)
			+ (SELECT count(*) FROM thaw.campaigns) + (SELECT count(*) FROM thaw.enrollments)`))
}
