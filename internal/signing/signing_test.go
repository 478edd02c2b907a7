package signing_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
)

const (
	oldSecret = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	newSecret = "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi"
)

// The signature was made with openssl, so that signing and verifying cannot share a bug:
//
//	printf 'msg_1.1778148003.{}' | openssl dgst -sha256 -hmac aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -binary | base64
func TestSign(t *testing.T) {
	t.Parallel()
	header, err := signing.Sign(oldSecret, "msg_1", time.Unix(1778148003, 0), []byte("{}"))

	require.NoError(t, err)
	require.Equal(t, http.Header{
		"Webhook-Id":        {"msg_1"},
		"Webhook-Timestamp": {"1778148003"},
		"Webhook-Signature": {"v1,+roUlGY6OMQgHfDkCI+VvtNJ+L43FjCt6grbJnTxF+g="},
	}, header)
}

// A message that is signed during a rotation is accepted with either secret.
func TestRotation(t *testing.T) {
	t.Parallel()
	both, err := signing.ParseKeys([]string{newSecret, oldSecret})
	require.NoError(t, err)
	header, err := both.Sign("msg_1", time.Now(), []byte("{}"))
	require.NoError(t, err)
	for _, secret := range []string{oldSecret, newSecret} {
		one, err := signing.ParseKeys([]string{secret})
		require.NoError(t, err)
		require.True(t, one.Verify(header, []byte("{}")))
		require.False(t, one.Verify(header, []byte("[]")))
	}
}

func TestUnusableSecret(t *testing.T) {
	t.Parallel()
	for secret, says := range map[string]string{
		"correct-horse":       "secret 2 of 2 does not begin with whsec_: copy it again",
		"whsec_correct-horse": "secret 2 of 2 is not base64 after whsec_: copy it again",
		"whsec_YWFhYWFhYWE=":  "secret 2 of 2 has 8 bytes: use a secret of 24 to 64 bytes",
	} {
		_, err := signing.ParseKeys([]string{newSecret, secret})
		require.EqualError(t, err, says)
	}
}
