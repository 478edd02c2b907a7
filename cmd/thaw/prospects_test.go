package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readLines formats the lines of a file: number, URL and error.
func readLines(t *testing.T, content string) (lines []string) {
	t.Helper()
	for line, err := range prospectLines(strings.NewReader(content)) {
		require.NoError(t, err)
		text := fmt.Sprintf("%d %s", line.number, line.url)
		if line.err != nil {
			text += " ! " + line.err.Error()
		}
		lines = append(lines, text)
	}
	return lines
}

func TestProspectLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"plain":                        {"a.b/1\n\n  a.b/2\r\na.b/3", []string{"1 a.b/1", "3 a.b/2", "4 a.b/3"}},
		"plain, with a comma":          {"a.b/1,2\na.b/2\n", []string{"1 a.b/1,2", "2 a.b/2"}},
		"plain, with a BOM":            {"\ufeffa.b/1\n", []string{"1 a.b/1"}},
		"CSV":                          {"name,prospect_url\nAda,a.b/1\n\"Bob, B.\",\"a.b/2,3\"\n", []string{"2 a.b/1", "3 a.b/2,3"}},
		"CSV, one column":              {"URL\na.b/1\n", []string{"2 a.b/1"}},
		"CSV, with a BOM":              {"\ufeff\"url\",x\r\na.b/1,\r\n", []string{"2 a.b/1"}},
		"CSV, several lines in a cell": {"note,url\n\"one\ntwo\",a.b/1\nx,a.b/2\n", []string{"2 a.b/1", "4 a.b/2"}},
		"CSV, a short line":            {"x,url\n1\n2,a.b/2\n", []string{"2  ! must have 2 fields, like the header", "3 a.b/2"}},
		"CSV, a bare quote":            {"x,url\n1\"2,a.b/1\n2,a.b/2\n", []string{"2  ! has a quote in an unquoted field, at byte 2: quote the whole field and double the quote in it", "3 a.b/2"}},
		"UTF-16":                       {"\xff\xfeu\x00r\x00l\x00\n\x00a\x00.\x00b\x00", []string{"2 a.b"}},
		"CSV, padded":                  {"x,url\n1,a.b/1\n,\n,\n", []string{"2 a.b/1"}},
		"not UTF-8":                    {"a.b/1\na.b/\xff\na.b/3\n", []string{"1 a.b/1", "2 a.b/\xff ! the URL of a prospect is not valid UTF-8", "3 a.b/3"}},
		"empty":                        {"", nil},
		"blank lines only":             {"\n \n", nil},
	} {
		require.Equal(t, test.want, readLines(t, test.content), name)
	}
}

func TestProspectLinesReportOverlongLine(t *testing.T) {
	t.Parallel()
	lines := readLines(t, "a.b/1\n"+strings.Repeat("x", 100_000)+"\na.b/3\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[1], "2 xxx")
	require.Contains(t, lines[1], "at most 2000 are allowed")
	require.Equal(t, "3 a.b/3", lines[2])
}

func TestProspectLinesStopAfterError(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("a.b/1\na.b/2\n"), iotest.ErrReader(errors.New("gone")))
	var last error
	for _, err := range prospectLines(broken) {
		last = err
	}
	require.ErrorContains(t, last, "gone")
}

// A file of any length is read in constant memory.
func TestProspectLinesUseConstantMemory(t *testing.T) { //nolint:paralleltest // measures memory
	const many = 300_000
	for _, header := range []string{"", "url\n"} {
		lines, out := io.Pipe()
		go func() {
			fmt.Fprint(out, header)
			for i := range many {
				fmt.Fprintf(out, "https://www.linkedin.com/in/prospect-%d\n", i)
			}
			_ = out.Close()
		}()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		count := 0
		for _, err := range prospectLines(lines) {
			require.NoError(t, err)
			count++
			if count == many-1 {
				runtime.GC()
				runtime.ReadMemStats(&now)
			}
		}
		require.Equal(t, many, count)
		require.Less(t, int64(now.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
	}
}
