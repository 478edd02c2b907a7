package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func example() *table {
	t := newTable(text("WORKSPACE"), text("ACCOUNT"), fixed("STATUS"), numbers("PAUSED"))
	t.add("acme", "h_EKCy2lRLef5NzHp0iw4A", "connected", number(12345))
	t.add("umbrella", "acc\n1", "error", number(7))
	return t
}

func TestTable(t *testing.T) {
	t.Setenv("COLUMNS", "")
	var b bytes.Buffer
	example().write(&b)
	require.Equal(t, `WORKSPACE  ACCOUNT                 STATUS     PAUSED
acme       h_EKCy2lRLef5NzHp0iw4A  connected  12,345
umbrella   acc\n1                  error           7
`, b.String())
	t.Setenv("COLUMNS", "40")
	b.Reset()
	example().write(&b)
	require.Equal(t, `WORKSPACE  ACCOUNT     STATUS     PAUSED
acme       h_EKCy2lR…  connected  12,345
umbrella   acc\n1      error           7
`, b.String())
	t.Setenv("COLUMNS", "30")
	b.Reset()
	example().write(&b)
	require.Equal(t, `WORKSPACE: acme
ACCOUNT: h_EKCy2lRLef5NzHp0iw4A
STATUS: connected
PAUSED: 12,345

WORKSPACE: umbrella
ACCOUNT: acc\n1
STATUS: error
PAUSED: 7
`, b.String())
}

// No line of a table is wider than the terminal, whatever the cells have.
func TestTableFits(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringN(0, 60, -1)
		table := newTable(text("A"), text("B"), numbers("C"), text("D"))
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			table.add(cell.Draw(t, "a"), cell.Draw(t, "b"), number(rapid.Int32().Draw(t, "c")), cell.Draw(t, "d"))
		}
		var b bytes.Buffer
		table.write(&b)
		for _, line := range strings.Split(b.String(), "\n") {
			require.LessOrEqual(t, uniseg.StringWidth(line), 80, "%q", line)
		}
	})
}

func TestMany(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 prospects", many(0, "prospect"))
	require.Equal(t, "1 prospect", many(1, "prospect"))
	require.Equal(t, "1,234,567 prospects", many(1234567, "prospect"))
}
