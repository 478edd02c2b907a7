package main

import (
	_ "embed"
	"io"
)

// licenses has the license of this program, followed by those of all modules in this binary. A test
// compares it with the modules. To regenerate it, run go test ./cmd/thaw -run Licenses -update.
//
//go:embed licenses.txt
var licenses string

type licensesCmd struct{}

func (licensesCmd) Help() string {
	return "Prints the license of this program, of Go, and of the Go modules that are compiled into this program.\n\nExample:\n  thaw licenses | less"
}

func (licensesCmd) Run(e *env) error {
	_, err := io.WriteString(e.stdout, licenses) // trusted text with line breaks, so not through printf
	return err
}
