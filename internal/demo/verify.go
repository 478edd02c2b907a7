package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/thawline/thaw/internal/verify"
)

// verify checks every invariant, and that the pages of the process work.
func (s *story) verify(ctx context.Context) error {
	report, err := verify.Run(ctx, s.db.Pool(), verify.Options{})
	if err != nil {
		return err
	}
	for _, check := range report.Checks {
		if check.Violations > 0 {
			return fmt.Errorf("expected no violation of %s, got %d: %s", check.Name, check.Violations, strings.Join(check.Examples, "; "))
		}
	}
	s.say("thaw verify: %d checks, %d violations. No cap was exceeded, no prospect was resumed twice, no action was done twice.", len(report.Checks), report.Violations())
	return errors.Join(s.get(ctx, "/readyz"), s.get(ctx, "/"), s.get(ctx, "/jobs/"))
}
