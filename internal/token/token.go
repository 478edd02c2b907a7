// Package token makes and reads the bearer tokens of the JSON API: "thaw_", 40 hexadecimal digits at random, and 8 more that
// check them, so that one which was cut off or mistyped is known as such without asking the database, and one that got into a
// log or a repository is found by its look.
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

// Prefix is how every token begins.
const Prefix = "thaw_"

// ErrMalformed is returned for a text that is no token.
var ErrMalformed = errors.New("this is not a token of Thaw, or not all of it: \"thaw token create\" makes one")

// A Token is a secret. Only its [Token.Hash] is kept.
type Token string

// New returns a token that nobody can guess.
func New() Token {
	random := make([]byte, 20)
	_, _ = rand.Read(random) // ends the program rather than fail
	digits := hex.EncodeToString(random)
	return Token(Prefix + digits + check(digits))
}

// Parse returns the token that a text is, or [ErrMalformed].
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

// Hash is what is kept of a token. It has 160 random bits, so no salt and no slow hash is needed.
func (t Token) Hash() []byte {
	sum := sha256.Sum256([]byte(t))
	return sum[:]
}

// String keeps a token out of logs.
func (Token) String() string { return Prefix + "…" }

func check(digits string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(digits))) }
