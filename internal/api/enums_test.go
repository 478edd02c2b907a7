package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/explain"
)

var update = flag.Bool("update", false, "rewrite the enumerations of openapi.json from the program's")

// The enumerations of openapi.json are the program's. One that has more than half of the values of
// a type is meant to have all of them.
func TestDocumentHasAllValues(t *testing.T) {
	t.Parallel()
	types := [][]string{
		enum.Names(enum.AccountStatuses), enum.Names(enum.CampaignStatuses), enum.Names(enum.EnrollmentStatuses), enum.Names(enum.PauseReasons),
		enum.Names(enum.EventKinds), enum.Names(enum.EventSources), enum.Names(enum.SignalOutcomes), enum.Names(enum.ActionKinds), enum.Names(enum.DeliveryStates), enum.Names(explain.Codes), enum.Names(explain.Actors),
		enum.Names(enum.AccountTiers), enum.Names(enum.ActionOutcomes), enum.Names(enum.ActionStates), enum.Names(explain.GateCodes),
	}
	got, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	want := regexp.MustCompile(`\n? *"enum": \[[^]]*\]`).ReplaceAllFunc(got, func(list []byte) []byte {
		at := bytes.IndexByte(list, '[')
		var written []*string
		require.NoError(t, json.Unmarshal(list[at:], &written))
		for _, all := range types {
			var foreign []string // null, and the empty text for an unknown prospect
			hits := 0
			for _, value := range written {
				switch {
				case value == nil:
					foreign = append(foreign, "null")
				case slices.Contains(all, *value):
					hits++
				default:
					foreign = append(foreign, `"`+*value+`"`)
				}
			}
			if 2*hits <= len(all) {
				continue
			}
			return append(slices.Clone(list[:at]), listOf(all, foreign, list[at:])...)
		}
		return list
	})
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", want, 0o644))
		return
	}
	require.Equal(t, string(want), string(got), "rewrite it with: go test ./internal/api -run DocumentHasAllValues -update")
}

// listOf formats values like the list that they replace: on one line, or one value per line.
func listOf(values, foreign []string, like []byte) []byte {
	separator, begin, end := ", ", "[", "]"
	if i := bytes.IndexByte(like, '\n'); i >= 0 {
		indent := like[i : i+bytes.IndexByte(like[i:], '"')]
		last := bytes.LastIndexByte(like, '\n')
		separator, begin, end = ","+string(indent), "["+string(indent), string(like[last:])
	}
	var b bytes.Buffer
	b.WriteString(begin)
	for i, value := range values {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(`"` + value + `"`)
	}
	for _, value := range foreign {
		b.WriteString(separator + value)
	}
	b.WriteString(end)
	return b.Bytes()
}
