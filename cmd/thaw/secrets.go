package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// secrets is one secret, or two separated by a comma. Unlike in kong's own lists a backslash is not
// an escape character.
type secrets []string

// Decode parses a flag or an environment variable.
func (s *secrets) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("secret", &text); err != nil {
		return fmt.Errorf("a secret is missing: %w", err)
	}
	*s = append(*s, strings.Split(text, ",")...)
	return nil
}
