package outlook

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// What is kept is good for its tick, and until somebody says that it is not.
func TestForesightIsKeptUntilItsTickIsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	foresight := NewForesight(f.Pool)
	waiting := func() int64 {
		t.Helper()
		report, err := foresight.Fleet(t.Context(), Everything())
		require.NoError(t, err)
		return report.Backlog.Resumable
	}
	const again = "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'linkedin_account_issue', paused_at = thaw.now()"
	require.EqualValues(t, 1, waiting())
	f.Exec(t, activate)
	require.EqualValues(t, 1, waiting(), "as it was seen")
	foresight.Forget()
	require.EqualValues(t, 0, waiting())

	f.Exec(t, again)
	require.NoError(t, foresight.Renew(t.Context()))
	require.EqualValues(t, 1, waiting())
	f.Exec(t, activate)
	f.nextTick(t)
	require.EqualValues(t, 0, waiting(), "another tick")
	f.Exec(t, again)
	f.Exec(t, sweptAlready)
	require.EqualValues(t, 1, waiting(), "its plan was made")
}

func TestForesightIsSharedByManyWhoAsk(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	foresight := NewForesight(f.Pool)
	var all errgroup.Group
	for i := range 20 {
		all.Go(func() error {
			if i%5 == 0 {
				foresight.Forget()
			}
			_, err := foresight.Explainer(Everything()).Explain(t.Context(), []string{ada})
			return err
		})
	}
	require.NoError(t, all.Wait())
}
