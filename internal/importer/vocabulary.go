package importer

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/enum"
)

// A vocabulary has the allowed values of each enum column. They come from the types of the
// database.
type vocabulary [columnCount][]string

// loadVocabulary reads the vocabulary, and registers the types for binary COPY on this connection.
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
			enum_range(NULL::thaw.enrollment_status)::text[], thaw.pause_reasons()::text[], enum_range(NULL::thaw.account_tier)::text[],
			(SELECT array_agg(k.kind ORDER BY k.kind) FROM thaw.action_kinds AS k)`,
	).Scan(&words[accountStatus], &words[campaignStatus], &words[status], &words[campaignPausedReason], &words[tier], &words[nextKind])
	if err != nil {
		return vocabulary{}, fmt.Errorf("looking up the enum values of the schema: %w", err)
	}
	for _, reason := range words[campaignPausedReason] {
		if !enum.PauseReason(reason).IsOfCampaigns() {
			words[pausedReason] = append(words[pausedReason], reason)
		}
	}
	return words, nil
}
