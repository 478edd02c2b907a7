package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type named string

func TestPrintfEscapesControlCharacters(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printf(&b, "%s|%s|%v|%d|%s\n", "a\nb\t\x1b[2Jc\u009b", named("\u202ed\u200b"), errors.New("e\rf"), 7, "Zoë Łukasz 👩‍💻 \\n")
	require.Equal(t, `a\nb\t\x1b[2Jc\u009b|\u202ed\u200b|e\rf|7|Zoë Łukasz 👩‍💻 \n`+"\n", b.String())
}

// No text can leave its line or column.
func TestPrintfOutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")) + rapid.String().Draw(t, "more")
		var b bytes.Buffer
		printf(&b, "%s", text)
		require.False(t, strings.ContainsFunc(b.String(), unicode.IsControl), "%q", b.String())
	})
}

func TestJSONHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, newJSONEncoder(&b).Encode("a\x7f\u009b2J\x1bé"))
	require.Equal(t, `"a\u007f\u009b2J\u001bé"`+"\n", b.String())
}

// All commands print through printf, because fmt.Fprint would not escape untrusted text.
func TestCommandsPrintThroughPrintf(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "output.go" {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Empty(t, regexp.MustCompile(`fmt\.Fprint\w*|json\.NewEncoder`).FindAllString(string(source), -1), file)
	}
}
