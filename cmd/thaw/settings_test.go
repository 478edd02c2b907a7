package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/when"
)

var update = flag.Bool("update", false, "rewrite the settings table in docs/reference.md and the expected output of the scripts")

const (
	reference     = "../../docs/reference.md"
	settingsBegin = "<!-- settings: begin -->\n"
	settingsEnd   = "<!-- settings: end -->\n"
)

// TestSettings compares the settings table in docs/reference.md with the flags in the code.
func TestSettings(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(reference)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), settingsBegin)
	require.True(t, found, "docs/reference.md has no line %s", settingsBegin)
	table, after, found := strings.Cut(rest, settingsEnd)
	require.True(t, found, "docs/reference.md has no line %s", settingsEnd)

	want := settingsTable(newParser(&cli{}).Model)
	if *update && table != want {
		require.NoError(t, os.WriteFile(reference, []byte(before+settingsBegin+want+settingsEnd+after), 0o644))
		return
	}
	require.Equal(t, want, table, "the settings table in docs/reference.md is outdated: run go test ./cmd/thaw -run Settings -update")
}

// A setting is a flag with an environment variable.
type setting struct {
	flag     *kong.Flag
	commands []string
}

// settings returns each flag with an environment variable once: first the flags of commands, in the
// order of the commands, then the global flags.
func settings(model *kong.Application) (found []setting) {
	for _, command := range model.Leaves(false) {
		for _, flag := range command.Flags {
			i := slices.IndexFunc(found, func(s setting) bool { return s.flag.Name == flag.Name })
			switch {
			case len(flag.Envs) == 0:
			case i >= 0:
				found[i].commands = append(found[i].commands, command.Path())
			default:
				found = append(found, setting{flag, []string{command.Path()}})
			}
		}
	}
	for _, flag := range model.Flags {
		if len(flag.Envs) > 0 {
			found = append(found, setting{flag: flag})
		}
	}
	return found
}

func settingsTable(model *kong.Application) string {
	var all []string
	for _, command := range model.Leaves(false) {
		all = append(all, command.Path())
	}
	var b strings.Builder
	b.WriteString("| flag | environment | default | commands | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range settings(model) {
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s | %s |\n",
			s.flag.Name, strings.Join(s.flag.Envs, "`, else `"), defaultOf(s.flag), commandsOf(s, all), strings.ReplaceAll(s.flag.Help, "|", `\|`))
	}
	return b.String()
}

func defaultOf(flag *kong.Flag) string {
	switch {
	case isFleetSetting(flag):
		return flag.PlaceHolder + ", in the database"
	case flag.HasDefault:
		return "`" + flag.Default + "`"
	case flag.IsBool():
		return "off"
	default:
		return "none"
	}
}

// commandsOf lists the commands that have a setting, or "all but" the others if they are fewer.
func commandsOf(s setting, all []string) string {
	others := slices.DeleteFunc(slices.Clone(all), func(command string) bool { return slices.Contains(s.commands, command) })
	switch {
	case len(s.commands) == 0 || len(others) == 0:
		return "all"
	case len(others) < len(s.commands):
		return "all but " + strings.Join(others, ", ")
	default:
		return strings.Join(s.commands, ", ")
	}
}

func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range settings(newParser(&cli{}).Model) {
		require.Regexp(t, `^THAW_[A-Z0-9_]+$`, s.flag.Envs[0], "--%s", s.flag.Name)
		require.Equal(t, "THAW_"+strings.ToUpper(strings.ReplaceAll(s.flag.Name, "-", "_")), s.flag.Envs[0], "the variable has the name of the flag")
		require.Regexp(t, `^[A-Z].+\.$`, s.flag.Help, "--%s: the help must be a sentence", s.flag.Name)
		for _, word := range []string{"SECRET", "PASSWORD", "DATABASE_URL"} {
			if strings.Contains(s.flag.Envs[0], word) {
				require.False(t, s.flag.HasDefault, "--%s: a secret must have no default", s.flag.Name)
			}
		}
	}
}

// Flags of fleet-wide settings have no default. Help and docs/reference.md show the default of the
// database as their placeholder.
func TestFleetSettingsShowDatabaseDefaults(t *testing.T) {
	t.Parallel()
	numbers, err := store.New(testdb.New(t).Pool).Read().Settings(t.Context())
	require.NoError(t, err)
	inDatabase := map[string]any{
		"tick": numbers.Tick, "account-cap": numbers.AccountCap, "fleet-cap": numbers.FleetCap, "signal-cap": numbers.SignalCap,
		"jitter": numbers.Jitter, "grace-period": numbers.GracePeriod, "keep-history": numbers.KeepHistory, "keep-signals": numbers.KeepSignals,
		"safety-accounts": numbers.SafetyAccounts, "safety-percent": numbers.SafetyPercent, "safety-window": numbers.SafetyWindow,
		"safety-calm": numbers.SafetyCalm, "safety-slow-percent": numbers.SafetySlowPercent, "safety-slow-window": numbers.SafetySlowWindow,
		"flap-limit": numbers.FlapLimit, "flap-wait": numbers.FlapWait, "silence-factor": numbers.SilenceFactor,
		"action-gap-from": numbers.ActionGapFrom, "action-gap-to": numbers.ActionGapTo, "action-lease": numbers.ActionLease,
		"pending-invites": numbers.PendingInvites, "push-actions": numbers.PushActions,
	}
	said := map[string]any{}
	for _, s := range settings(newParser(&cli{}).Model) {
		if !isFleetSetting(s.flag) {
			continue
		}
		if length, err := when.ParseDuration(s.flag.PlaceHolder); err == nil {
			said[s.flag.Name] = length
			continue
		}
		if truth, err := strconv.ParseBool(s.flag.PlaceHolder); err == nil && len(s.flag.PlaceHolder) > 1 {
			said[s.flag.Name] = truth
			continue
		}
		number, err := strconv.ParseInt(s.flag.PlaceHolder, 10, 32)
		require.NoError(t, err, "--%s", s.flag.Name)
		said[s.flag.Name] = int32(number)
	}
	require.Equal(t, inDatabase, said)
}

func TestHelpOfEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	for _, command := range newParser(&cli{}).Model.Leaves(false) {
		_, example, found := strings.Cut(command.Detail, "Example:\n  ")
		require.True(t, found, "%s: the help has no example", command.Path())
		require.Contains(t, example, "thaw "+command.Path(), "the example is for another command")
		require.Regexp(t, `^[A-Z].+\.$`, command.Help, "%s: the help must be a sentence", command.Path())
	}
}

// The page of settings says where each setting of the process comes from, and shows no secret.
func TestProcessSettings(t *testing.T) {
	t.Setenv("THAW_ADMIN_PASSWORD", "hidden-1")
	t.Setenv("THAW_DATABASE_URL", "postgres://ann:hidden-2@localhost/thaw")
	t.Setenv("THAW_UNIPILE_V1_SECRET", "hidden-3-0123456789")
	parsed, err := newParser(&cli{}).Parse([]string{"web", "--addr=127.0.0.1:0", "--otel-endpoint=http://ann:hidden-4@localhost:4318"})
	require.NoError(t, err)
	found := map[string]string{}
	for _, s := range processSettings(parsed) {
		found[s.Flag] = s.Source + ": " + s.Value
		require.NotContains(t, s.Value, "hidden", s.Flag)
	}
	require.Equal(t, "flag: 127.0.0.1:0", found["addr"])
	require.Equal(t, "flag: http://localhost:4318", found["otel-endpoint"])
	require.Equal(t, "environment: (set, not shown)", found["admin-password"])
	require.Equal(t, "environment: (set, not shown)", found["unipile-v1-secret"])
	require.Equal(t, "environment: (set, not shown)", found["database-url"])
	require.Equal(t, "default: Unipile-Auth", found["unipile-v1-header"])
	require.NotContains(t, found, "fleet-cap")
}
