package importer

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A vocabulary has the words that are allowed in each column that takes only certain ones. The database's types say which.
type vocabulary [columnCount][]string

// notOfEnrollments are the reasons for which campaigns are paused and never a single prospect; a CHECK says so too.
var notOfEnrollments = []string{"linkedin_high_failure_rate", "subscription_inactive"}

// loadVocabulary also makes the connection fit to copy values of these types in binary.
func loadVocabulary(ctx context.Context, tx pgx.Tx) (vocabulary, error) {
	types, err := tx.Conn().LoadTypes(ctx, []string{
		"thaw.account_status", "thaw.campaign_status", "thaw.enrollment_status", "thaw.pause_reason"})
	if err != nil {
		return vocabulary{}, fmt.Errorf("looking up the types of the schema: %w", err)
	}
	tx.Conn().TypeMap().RegisterTypes(types)

	var words vocabulary
	err = tx.QueryRow(ctx, `
		SELECT enum_range(NULL::thaw.account_status)::text[], enum_range(NULL::thaw.campaign_status)::text[],
			enum_range(NULL::thaw.enrollment_status)::text[], enum_range(NULL::thaw.pause_reason)::text[]`,
	).Scan(&words[accountStatus], &words[campaignStatus], &words[status], &words[campaignPausedReason])
	if err != nil {
		return vocabulary{}, fmt.Errorf("looking up the words of the schema: %w", err)
	}
	for _, reason := range words[campaignPausedReason] {
		if !slices.Contains(notOfEnrollments, reason) {
			words[pausedReason] = append(words[pausedReason], reason)
		}
	}
	return words, nil
}
