package webhook

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// UnipileV1 are the settings of Unipile v1.
type UnipileV1 struct {
	// Secrets are the accepted values of the header: at most two, of 16 or more visible ASCII
	// characters.
	Secrets []string `name:"unipile-v1-secret" type:"secrets" help:"Secret that Unipile v1 sends in its header. At least 16 characters, no comma. To rotate it, pass the old and the new secret, separated by a comma. Without a secret the route is disabled." placeholder:"SECRET" env:"THAW_UNIPILE_V1_SECRET"`
	// Header is the name of the header with the secret. Default: Unipile-Auth.
	Header string `name:"unipile-v1-header" help:"Header in which Unipile v1 sends its secret." default:"Unipile-Auth" env:"THAW_UNIPILE_V1_HEADER"`
}

func (s *UnipileV1) route() string     { return "unipile/v1" }
func (s *UnipileV1) secrets() []string { return s.Secrets }

// unipileV1Meanings has the values of AccountStatus.message.
// https://developer.unipile.com/docs/account-lifecycle
var unipileV1Meanings = map[string]meaning{
	"OK":               {status: connected},
	"RECONNECTED":      {status: reconnected},
	"SYNC_SUCCESS":     {status: connected},
	"CREATION_SUCCESS": {status: connecting, fresh: true},
	"CONNECTING":       {status: connecting},
	"ERROR":            {status: failing},
	"STOPPED":          {status: failing},
	"CREDENTIALS":      {status: disconnected},
	"PERMISSIONS":      {status: needsVerification},
	"DELETED":          {status: removed},
}

// unipileV1 authenticates by a secret in a header that the platform chose when it registered the
// webhook. Deliveries are not signed. The Content-Type is ignored: webhooks registered by API have
// none.
type unipileV1 struct {
	header  string
	secrets [][sha256.Size]byte
}

func (s *UnipileV1) open() (verifier, error) {
	u := &unipileV1{header: cmp.Or(s.Header, "Unipile-Auth")}
	if strings.ContainsFunc(u.header, notHeaderName) {
		return nil, fmt.Errorf("header name %q is invalid: use letters, digits and hyphens", u.header)
	}
	for i, secret := range s.Secrets {
		if secret == "" || strings.ContainsFunc(secret, notVisibleASCII) {
			return nil, fmt.Errorf("secret %d of %d cannot be sent in a header: use visible ASCII characters without spaces", i+1, len(s.Secrets))
		}
		if err := checkLength(i, s.Secrets); err != nil {
			return nil, err
		}
		u.secrets = append(u.secrets, sha256.Sum256([]byte(secret)))
	}
	return u, nil
}

func notVisibleASCII(r rune) bool { return r <= ' ' || r > '~' }

func notHeaderName(r rune) bool {
	return notVisibleASCII(r) || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// verify compares hashes of equal length, and always all of them, so that its timing reveals
// neither the length of a secret nor which one matched.
func (u *unipileV1) verify(header http.Header, _ []byte, _ time.Time) error {
	given := header.Get(u.header)
	if given == "" {
		return unauthorized("the header %s is missing: register the webhook with this header and its secret", u.header)
	}
	hash, match := sha256.Sum256([]byte(given)), 0
	for _, secret := range u.secrets {
		match |= subtle.ConstantTimeCompare(hash[:], secret[:])
	}
	if match == 0 {
		return unauthorized("the secret in %s is wrong: register the webhook with the secret that is configured here", u.header)
	}
	return nil
}

func (s *UnipileV1) decode(_ string, body []byte) (Signal, error) {
	if err := checkJSON(body); err != nil {
		return Signal{}, err
	}
	var delivery struct {
		AccountStatus *struct {
			AccountID   string `json:"account_id"`
			AccountType string `json:"account_type"`
			Message     string `json:"message"`
		}
	}
	if err := fill(body, &delivery); err != nil {
		return Signal{}, err
	}
	account := delivery.AccountStatus
	if account == nil {
		return Signal{}, malformed("AccountStatus is missing: register only the account status webhook with this URL")
	}
	err := required(
		text{"AccountStatus.account_id", account.AccountID},
		text{"AccountStatus.account_type", account.AccountType},
		text{"AccountStatus.message", account.Message},
	)
	if err != nil {
		return Signal{}, err
	}
	m := unipileV1Meanings[account.Message]
	return Signal{
		Source:    "unipile_v1",
		Provider:  strings.ToLower(account.AccountType),
		AccountID: account.AccountID,
		Raw:       account.Message,
		// Another message may be a word of the account's provider.
		Status: cmp.Or(m.status, account.Message),
		Fresh:  m.fresh,
		Body:   body,
	}, nil
}
