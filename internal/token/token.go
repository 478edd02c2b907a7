// Package token generates and parses the bearer tokens of the JSON API. A token is "thaw_", 40
// random hexadecimal digits, and 8 digits of checksum. The checksum detects a truncated or mistyped
// token without a query. The fixed format lets secret scanners find tokens in logs and
// repositories.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Prefix is the start of every token.
const Prefix = "thaw_"

// ErrMalformed is returned for a text that is not a token.
var ErrMalformed = errors.New("the token is malformed or incomplete: copy it again, or make one with \"thaw token create\"")

// A Token is a secret. Only its [Token.Hash] is kept.
type Token string

// New returns a new random token.
func New() Token {
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails: it crashes the program instead
	digits := hex.EncodeToString(random)
	return Token(Prefix + digits + check(digits))
}

// Parse returns the token in a text, or [ErrMalformed].
func Parse(text string) (Token, error) {
	digits, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(digits) != 48 || digits[40:] != check(digits[:40]) {
		return "", ErrMalformed
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return "", ErrMalformed
	}
	return Token(text), nil
}

// Hash returns the stored form of a token. A token has 160 random bits, so it needs no salt and no
// slow hash.
func (t Token) Hash() []byte {
	sum := sha256.Sum256([]byte(t))
	return sum[:]
}

// String hides the token, to keep it out of logs.
func (Token) String() string { return Prefix + "…" }

func check(digits string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(digits))) }
