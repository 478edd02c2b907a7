package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// secrets is one secret, or two that a comma separates. Unlike kong's own lists it knows no escapes: a backslash belongs to the
// secret.
type secrets []string

// Decode takes a flag or a variable.
func (s *secrets) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("secret", &text); err != nil {
		return fmt.Errorf("a secret is missing: %w", err)
	}
	*s = append(*s, strings.Split(text, ",")...)
	return nil
}
