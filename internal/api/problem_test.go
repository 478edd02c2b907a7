package api

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/readmodel"
)

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	fromPostgres := func(code string) error {
		return fmt.Errorf("reading: %w", &pgconn.PgError{Code: code, Message: "secret"})
	}
	for name, test := range map[string]struct {
		err  error
		want kind
	}{
		"no workspace":         {fmt.Errorf("reading: %w", &readmodel.UnknownWorkspaceError{Key: "nowhere"}), notFound},
		"not found":            {fmt.Errorf("account 7: %w", readmodel.ErrNotFound), notFound},
		"invalid cursor":       {readmodel.ErrCursor, badRequest},
		"heal is running":      {fromPostgres("23505"), conflict},
		"statement timeout":    {fromPostgres("57014"), unavailable},
		"server shutdown":      {fromPostgres("57P01"), unavailable},
		"too many connections": {fromPostgres("53300"), unavailable},
		"lock not available":   {fromPostgres("55P03"), unavailable},
		"table is missing":     {fromPostgres("42P01"), internalError},
		"deadline exceeded":    {fmt.Errorf("reading: %w", context.DeadlineExceeded), unavailable},
		"cannot connect":       {fmt.Errorf("reading: %w", &pgconn.ConnectError{}), unavailable},
		"anything else":        {errors.New("secret"), internalError},
	} {
		got := asProblem(test.err)
		require.Equal(t, test.want, got.kind, name)
		if test.want != conflict {
			require.NotContains(t, got.detail, "secret", name)
		}
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	t.Parallel()
	statuses := map[int]kind{}
	for k, about := range kinds {
		require.Empty(t, statuses[about.status], "%s", k)
		statuses[about.status] = k
		require.NotEmpty(t, about.title)
	}
	require.Len(t, statuses, 11)
}
