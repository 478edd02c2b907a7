package simulate

import (
	"context"

	"github.com/thawline/thaw/internal/providersim"
)

// An expectation is what a forecast said.
type expectation struct{}

func (d *driver) expect(ctx context.Context) error { return nil }

func (d *driver) checkExpectations(log []providersim.Entry, found findings) []Count { return nil }
