package main

import (
	_ "embed"
	"io"
)

// licenses are the licences of all that this binary is made of, of this program's own first. A test holds it against the modules
// that are built in; go test ./cmd/thaw -run Licenses -update writes it anew.
//
//go:embed licenses.txt
var licenses string

type licensesCmd struct{}

func (licensesCmd) Help() string {
	return "The licences of the Go modules that are built into this program, and of Go itself.\n\nExample:\n  thaw licenses | less"
}

func (licensesCmd) Run(e *env) error {
	_, err := io.WriteString(e.stdout, licenses) // our own text, of many lines
	return err
}
