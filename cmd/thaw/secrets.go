package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// readSecrets reads one secret, or two separated by a comma. Unlike in kong's own lists a backslash
// is not an escape character.
func readSecrets(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("secret", &text); err != nil {
		return fmt.Errorf("a secret is missing: %w", err)
	}
	target.Set(reflect.AppendSlice(target, reflect.ValueOf(strings.Split(text, ","))))
	return nil
}
