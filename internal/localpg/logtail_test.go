package localpg

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogTail(t *testing.T) {
	t.Parallel()
	var tail logTail
	fmt.Fprint(&tail, "one\ntw")
	fmt.Fprint(&tail, "o\n")
	require.Equal(t, "one\ntwo", tail.String())

	for i := range 1000 {
		fmt.Fprintf(&tail, "line %d\n", i)
	}
	lines := strings.Split(tail.String(), "\n")
	require.Equal(t, "line 999", lines[len(lines)-1])
	require.Regexp(t, `^line \d+$`, lines[0], "the first line is complete")
	require.InDelta(t, tailBytes, len(tail.String()), 20)
}
