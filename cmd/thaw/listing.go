package main

import (
	"fmt"

	"github.com/thawline/thaw/internal/readmodel"
)

// listFlags are the flags of a command that lists rows.
type listFlags struct {
	Limit int  `help:"Maximum number of lines, at most 200." default:"50"`
	JSON  bool `help:"Print JSON."`
}

// Validate checks the limit. Commands that embed the flags call it, because kong does not.
func (f *listFlags) Validate() error {
	if f.Limit < 1 || f.Limit > readmodel.MaxLimit {
		return fmt.Errorf("--limit=%d: must be from 1 to %d", f.Limit, readmodel.MaxLimit)
	}
	return nil
}

// sayMore says how many rows a list has beyond those that it shows. It is not part of the list, so
// it goes to the standard error. A total of readmodel.MaxCounted means at least that many.
func (f *listFlags) sayMore(e *env, shown int, total int64, noun string) {
	more := total - int64(shown)
	switch {
	case more <= 0:
	case total >= readmodel.MaxCounted:
		printf(e.stderr, "There are at least %s more %ss: use a filter, or --limit.\n", number(more), noun)
	case more == 1:
		printf(e.stderr, "There is 1 more %s: use a filter, or --limit.\n", noun)
	default:
		printf(e.stderr, "There are %s more %ss: use a filter, or --limit.\n", number(more), noun)
	}
}

// sayUncounted says that a list has more rows, of which the number is unknown.
func (f *listFlags) sayUncounted(e *env, nouns string) {
	printf(e.stderr, "There are more %s: use a filter, or --limit.\n", nouns)
}
