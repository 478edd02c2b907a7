package csvfile_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/unicode"

	"github.com/thawline/thaw/internal/csvfile"
)

// read returns the records of a file, joined by bars, and the final error.
func read(content io.Reader) (records []string, err error) {
	file, err := csvfile.NewReader(content)
	for err == nil {
		var record []string
		if record, err = file.Read(); err == nil {
			records = append(records, strings.Join(record, "|"))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return records, err
}

func TestReaderAcceptsCommonFormats(t *testing.T) {
	t.Parallel()
	const plain = "a,b\n1,\u00e9\n"
	encoded := func(order unicode.Endianness, mark unicode.BOMPolicy) string {
		text, err := unicode.UTF16(order, mark).NewEncoder().String(plain)
		require.NoError(t, err)
		return text
	}
	for name, content := range map[string]string{
		"UTF-8":                 plain,
		"UTF-8 with BOM":        "\ufeff" + plain,
		"UTF-16LE with BOM":     encoded(unicode.LittleEndian, unicode.UseBOM),
		"UTF-16BE with BOM":     encoded(unicode.BigEndian, unicode.UseBOM),
		"UTF-16LE without BOM":  encoded(unicode.LittleEndian, unicode.IgnoreBOM),
		"UTF-16BE without BOM":  encoded(unicode.BigEndian, unicode.IgnoreBOM),
		"CRLF":                  strings.ReplaceAll(plain, "\n", "\r\n"),
		"no final line break":   strings.TrimSuffix(plain, "\n"),
		"blank rows at the end": plain + ",\n , \n,,,\n",
		"empty lines":           "\n" + plain + "\n\n",
		"all fields quoted":     "\"a\",\"b\"\n\"1\",\"\u00e9\"\n",
	} {
		records, err := read(strings.NewReader(content))
		require.NoError(t, err, name)
		require.Equal(t, []string{"a|b", "1|\u00e9"}, records, name)
	}
}

func TestReaderNamesOtherFormats(t *testing.T) {
	t.Parallel()
	for content, cause := range map[string]string{
		"\x1f\x8b\x08\x00":                   "gzip",
		"PK\x03\x04rest":                     "xlsx",
		"\xd0\xcf\x11\xe0":                   "xls",
		"sep=;\na;b\n":                       "sep=",
		"a,b\r1,2\r":                         "line endings",
		"a,b\n\"1,2\n":                       "unclosed quoted field",
		"a,b\n1,2,3\n":                       "must have 2 fields",
		"a,b\n" + strings.Repeat("x", 3<<20): "is longer than 1048576 bytes",
	} {
		_, err := read(strings.NewReader(content))
		problem, ok := errors.AsType[*csvfile.ProblemError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, problem.Message, cause)
	}
	require.Equal(t, "uses tabs as separators: use commas", csvfile.CheckHeader([]string{"a\tb"}, []string{"b"}))
	require.Empty(t, csvfile.CheckHeader(csvfile.Names([]string{" B "}), []string{"b"}))
}

// Reading stops at MaxRecord after an unclosed quote.
func TestReaderLimitsRecordLength(t *testing.T) {
	t.Parallel()
	taken := 0
	endless := readerFunc(func(p []byte) (int, error) {
		taken += len(p)
		return copy(p, bytes.Repeat([]byte("x\n"), len(p)/2+1)), nil
	})
	_, err := read(io.MultiReader(strings.NewReader("a\n\""), endless))
	require.ErrorContains(t, err, "check for an unclosed quote")
	require.Less(t, taken, 2*csvfile.MaxRecord)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
