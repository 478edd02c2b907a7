// Package vocabulary checks that the project uses one word for one thing. Its test fails on words
// that have another name here, in code and in text.
package vocabulary

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A rule forbids a word, whatever its case, also as a part of an identifier: snake_case and
// CamelCase are split into words.
type rule struct {
	word string // a regular expression for whole words
	use  string
	// allowed are the files, or folders ending in a slash, where the word means something else.
	allowed []string
}

var rules = []rule{
	{word: `wakes?|woken|woke|waking|awake`, use: "resume, resumed"},
	{word: `asleep`, use: "paused"},
	{word: `claimants?`, use: "candidate"},
	{word: `orphans?|orphaned`, use: "stuck (an account that never finished connecting)"},
	{word: `blips?`, use: "transient error"},
	{word: `tolerance`, use: "grace period"},
	{word: `repointed|repoints?`, use: "moved"},
	{word: `left over|backlog left`, use: "remaining"},
	{word: `flips?|flipped`, use: "transition"},
	{word: `foresight|foretold`, use: "forecast"},
	{word: `contenders?`, use: "variant"},
	{word: `ledger rows?`, use: "idempotency record"},
	{word: `judges?|judged`, use: "invariant checker"},
	{word: `mend|mends|mended|mending`, use: "fix"},
	{word: `decided by`, use: "actor"},
	{word: `desk|telephone|machines?`, use: "server, process, host"},
	{word: `rooms?`, use: "quota, remaining"},
	{word: `nobody|somebody|whoever|everybody|anybody`, use: "name the thing: no prospect, an account, any process",
		allowed: []string{"internal/localpg/"}},
	{word: `gave back|give back|gives back|given back`, use: "requeue (a job), resume (what a person paused)"},
	{word: `is asked for`, use: "queued"},
	{word: `next ticks? (?:resumes?|covers?|closes?|queues?|pauses?)`, use: "the next sweep (a tick is a period)"},
	{word: `is on since`, use: "has been on since"},
	{word: `lets? it rest|lets? an account rest`, use: "put on hold"},
}

// skipped are files and folders that are not written by hand.
var skipped = []string{
	".git/", ".bin/", "node_modules/", "internal/dbsqlc/", "docs/charts/", "docs/screenshots/", "cmd/thaw/licenses.txt", "LICENSE", "go.sum",
	"internal/vocabulary/",
}

// text are the endings of files that are read.
var text = []string{".go", ".sql", ".template", ".html", ".css", ".js", ".md", ".yaml", ".yml", ".json", ".txtar", ".txt", ".csv", ".sh"}

func TestOneWordForOneThing(t *testing.T) {
	t.Parallel()
	patterns := make([]*regexp.Regexp, len(rules))
	for i, r := range rules {
		patterns[i] = regexp.MustCompile(`\b(` + r.word + `)\b`)
	}
	root := "../.."
	require.FileExists(t, filepath.Join(root, "go.mod"))
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if matches(name+"/", skipped) || filepath.Base(name) == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if matches(name, skipped) || !slices.Contains(text, filepath.Ext(name)) {
			return nil
		}
		files++
		checkName(t, name, patterns)
		return checkFile(t, path, name, patterns)
	})
	require.NoError(t, err)
	require.Greater(t, files, 300, "the project was read")
}

func checkName(t *testing.T, name string, patterns []*regexp.Regexp) {
	for i, r := range rules {
		if word := patterns[i].FindString(words(name)); word != "" && !matches(name, r.allowed) {
			t.Errorf("%s: the name has the word %q. Use: %s", name, word, r.use)
		}
	}
}

func checkFile(t *testing.T, path, name string, patterns []*regexp.Regexp) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		line := words(lines.Text())
		if prose.MatchString(lines.Text()) && utf8.RuneCountInString(lines.Text()) > commentWidth && isCode(name) {
			t.Errorf("%s:%d: the comment is wider than %d columns", name, n, commentWidth)
		}
		if !suspicious.MatchString(line) {
			continue
		}
		for i, r := range rules {
			if word := patterns[i].FindString(line); word != "" && !matches(name, r.allowed) {
				t.Errorf("%s:%d: %q. Use: %s", name, n, word, r.use)
			}
		}
	}
	return lines.Err()
}

// commentWidth is the width of comments. Indented text, such as a table, may be wider.
const commentWidth = 100

// prose matches a line of a comment in Go or SQL that is not indented and not a directive.
var prose = regexp.MustCompile(`^[ \t]*(//|--) [^ \t]`)

func isCode(name string) bool { return filepath.Ext(name) == ".go" || filepath.Ext(name) == ".sql" }

// suspicious matches every line that breaks a rule, at the cost of one expression.
var suspicious = func() *regexp.Regexp {
	all := make([]string, len(rules))
	for i, r := range rules {
		all[i] = r.word
	}
	return regexp.MustCompile(strings.Join(all, "|"))
}()

// words splits identifiers, in lower case: decided_by and DecidedBy are "decided by".
func words(line string) string {
	split := make([]byte, 0, 2*len(line))
	for i := range len(line) {
		c := line[i]
		switch {
		case c == '_':
			c = ' '
		case 'A' <= c && c <= 'Z':
			if i > 0 && (line[i-1] >= 'a' && line[i-1] <= 'z' || line[i-1] >= '0' && line[i-1] <= '9') {
				split = append(split, ' ')
			}
			c += 'a' - 'A'
		}
		split = append(split, c)
	}
	return string(split)
}

func TestWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, "p decided by, decided by2 ids", words("p_decided_by, DecidedBy2 IDs"))
}

func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return name == p || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p)
	})
}
