package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/readmodel"
)

// processSettings returns the settings of this process, for the page of settings: each flag of the
// command that has an environment variable, except those of the fleet, which are in the database.
func processSettings(parsed *kong.Context) []readmodel.ProcessSetting {
	given := map[string]bool{}
	for _, part := range parsed.Path {
		if part.Flag != nil {
			given[part.Flag.Name] = true
		}
	}
	var settings []readmodel.ProcessSetting
	for _, flag := range parsed.Flags() {
		if len(flag.Envs) == 0 || isFleetSetting(flag) {
			continue
		}
		setting := readmodel.ProcessSetting{Flag: flag.Name, Env: flag.Envs[0], Value: shownValue(flag), Source: "default", Help: flag.Help}
		switch {
		case given[flag.Name]:
			setting.Source = "flag"
		case slices.ContainsFunc(flag.Envs, func(name string) bool { return os.Getenv(name) != "" }):
			setting.Source = "environment"
		}
		settings = append(settings, setting)
	}
	return settings
}

// shownValue returns the value of a flag without secrets.
func shownValue(flag *kong.Flag) string {
	value := fmt.Sprint(flag.Target.Interface())
	switch {
	case value == "" || value == "[]":
		return ""
	case strings.Contains(flag.Name, "secret"), strings.Contains(flag.Name, "password"), flag.Name == "database-url":
		return "(set, not shown)"
	case strings.Contains(value, "://"):
		return outbound.Masked(value)
	default:
		return value
	}
}

// isFleetSetting reports whether a flag changes a fleet-wide setting, whose default is in the
// database. Only these flags are pointers.
func isFleetSetting(flag *kong.Flag) bool {
	return flag.Target.Kind() == reflect.Pointer
}
