package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// Each flag and argument that names an account or a workspace says that the platform's own ID is
// accepted.
func TestHelpNamesThePlatformsIDs(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, command := range newParser(&cli{}).Model.Leaves(true) {
		values := append([]*kong.Value{}, command.Positional...)
		for _, flag := range command.Flags {
			values = append(values, flag.Value)
		}
		for _, value := range values {
			names := value.Name == "workspace" || value.Name == "account" || strings.Contains(strings.ToLower(value.Help), "provider account id")
			if names && value.Target.Kind().String() == "string" {
				seen++
				require.Contains(t, value.Help, "the platform's own ID", "%s of thaw %s", value.Name, command.Path())
			}
		}
	}
	require.Greater(t, seen, 15)
}
