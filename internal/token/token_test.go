package token_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/token"
)

func TestParseReturnsGeneratedToken(t *testing.T) {
	t.Parallel()
	seen := map[token.Token]bool{}
	for range 1000 {
		made := token.New()
		require.Regexp(t, `^thaw_[0-9a-f]{48}$`, string(made))
		require.False(t, seen[made])
		seen[made] = true
		read, err := token.Parse(string(made))
		require.NoError(t, err)
		require.Equal(t, made.Hash(), read.Hash())
		require.Len(t, read.Hash(), 32)
		require.NotContains(t, fmt.Sprint(made), string(made)[5:20], "printing hides the token")
	}
}

func TestParseRejectsMalformedTokens(t *testing.T) {
	t.Parallel()
	made := string(token.New())
	swapped := []byte(made)
	swapped[6] ^= 1
	for name, text := range map[string]string{
		"empty": "", "only the prefix": "thaw_", "truncated": made[:len(made)-1], "longer": made + "0", "upper case": strings.ToUpper(made),
		"another prefix": "ghp_" + made[5:], "wrong digit": string(swapped), "not hexadecimal": "thaw_" + strings.Repeat("z", 48),
	} {
		_, err := token.Parse(text)
		require.ErrorIs(t, err, token.ErrMalformed, name)
	}
}
