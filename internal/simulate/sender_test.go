package simulate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Only the codes of a lost account report one. A rejected API key does not.
func TestSettlements(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		code    string
		outcome string
	}{
		{401, "disconnected_account", "account_lost"},
		{401, "checkpoint_error", "account_lost"},
		{401, "missing_credentials", "throttled"},
		{403, "account_restricted", "restricted"},
		{422, "insufficient_credits", "limited"},
		{500, "limit_exceeded", "limited"},
		{422, "already_connected", "already"},
		{422, "invalid_recipient", "refused"},
		{503, "service_unavailable", "unknown"},
	} {
		require.Equal(t, c.outcome, settlementOf(c.status, c.code, "").outcome, "%d %s", c.status, c.code)
	}
}
