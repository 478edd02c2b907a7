package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/enum"
)

// A Mapping says where the platform keeps what Thaw has a copy of.
type Mapping struct {
	// Source is the text that the mapping was read from.
	Source string
	// Entities has an entity per kind, in the order of [Kinds].
	Entities []*Entity
}

// Entity returns the section of a kind.
func (m *Mapping) Entity(kind Kind) *Entity {
	for _, e := range m.Entities {
		if e.Kind == kind {
			return e
		}
	}
	return nil
}

// An Entity is the section of a kind.
type Entity struct {
	Kind  Kind
	Line  int
	Table Name
	// ID is the column with the platform's id, of any type. Thaw keeps it as text.
	ID string
	// Values has the source of each field that is mapped, by the name of the field.
	Values map[string]Value
	Status *Words
	Reason *Words
	// Deleted is the column of a soft delete: a boolean, or a time that is null for a row that is
	// not deleted. Optional.
	Deleted *Value
	// Delete is what a deleted row means.
	Delete string
}

// A Value is the source of a field: a column, a column of another table, or one value for all rows.
type Value struct {
	Line   int
	Column string
	Fixed  *string
	Join   *Join
	// Map translates the words of a field that has words. Nil: they are Thaw's.
	Map []Word
}

// schedules reports whether Thaw schedules the next actions of enrollments, so that the step of one
// that runs matters.
func (e *Entity) schedules() bool {
	_, ok := e.Values["next_kind"]
	return ok
}

// isIdle reports whether Thaw reads a field only while the enrollment does not run.
func (e *Entity) isIdle(f field) bool { return f.running && !e.schedules() }

// A Join finds the row of another table whose key is in the column By.
type Join struct {
	Table  Name
	By     string
	Key    string
	Column string
}

// Words translates a column. The reason of a pause and the status of a row each have one.
type Words struct {
	Line   int
	Column string
	Map    []Word
	// Back has the word that Thaw writes, by status or reason, where several words mean it.
	Back []Word
	// Else is the reason of all other words. Only for reasons.
	Else string
	// None is the word of a row that is not paused. Only for reasons; null without it.
	None *string
}

// A Word is a word of the platform and what it means.
type Word struct {
	Line   int
	Theirs string
	Ours   string
	// Reason is set for a status word that also says why the row is paused.
	Reason string
}

// A Name is the name of a table, as it is in the catalog.
type Name struct{ Schema, Table string }

func (n Name) String() string { return n.Schema + "." + n.Table }

// parseName reads "table" and "schema.table". Upper case counts, and needs no quotes.
func parseName(text string) (Name, bool) {
	schema, table, qualified := strings.Cut(text, ".")
	if !qualified {
		schema, table = "public", text
	}
	return Name{schema, table}, schema != "" && table != ""
}

// meaning returns the words that mean a status.
func (w *Words) meaning(ours string) []Word {
	var all []Word
	for _, word := range w.Map {
		if word.Ours == ours {
			all = append(all, word)
		}
	}
	return all
}

// word returns the platform's word for a reason. It is false if there is none.
func (w *Words) word(ours string) (string, bool) {
	for _, words := range [][]Word{w.Back, w.Map} {
		for _, word := range words {
			if word.Ours == ours {
				return word.Theirs, true
			}
		}
	}
	return "", false
}

// StatusWord returns the platform's word for a status, and for a paused row its reason. It is false
// if the platform has no word, so that the column keeps the one it has.
func (e *Entity) StatusWord(status, reason string) (string, bool) {
	for _, word := range e.Status.Back {
		if word.Ours == status && word.Reason == "" {
			return word.Theirs, true
		}
	}
	words := e.Status.meaning(status)
	for {
		for _, word := range words {
			if word.Reason == reason {
				return word.Theirs, true
			}
		}
		next, ok := instead[enum.PauseReason(reason)]
		if !ok {
			break
		}
		reason = string(next)
	}
	for _, word := range words {
		if word.Reason == "" {
			return word.Theirs, true
		}
	}
	return "", false
}

// ReasonWord returns the platform's word for a reason, or for "" the word of a row that is not
// paused. Null: the column is set to null.
func (e *Entity) ReasonWord(reason string) *string {
	if reason == "" {
		return e.Reason.None
	}
	for {
		if word, ok := e.Reason.word(reason); ok {
			return &word
		}
		next, ok := instead[enum.PauseReason(reason)]
		if !ok {
			return nil
		}
		reason = string(next)
	}
}

// check finds what a section says twice or not at all, without looking at the database.
func (e *Entity) check(d *decoder) {
	if e.Status == nil {
		return
	}
	path := string(e.Kind) + ".status"
	for _, status := range e.Kind.statuses() {
		words := e.Status.meaning(status)
		byReason := map[string][]string{}
		for _, word := range words {
			byReason[word.Reason] = append(byReason[word.Reason], word.Theirs)
		}
		hasBack := slices.ContainsFunc(e.Status.Back, func(w Word) bool { return w.Ours == status })
		isWritten := e.Kind == Accounts || slices.Contains(e.Kind.written(), status)
		for _, word := range words {
			same := byReason[word.Reason]
			if isWritten && !hasBack && len(same) > 1 && same[0] == word.Theirs {
				d.add(word.Line, path+".map", fmt.Sprintf("the words %s all mean %s, and Thaw cannot tell which of them to write", list(same), status),
					fmt.Sprintf("Add back: {%s: %s} to %s, with the word that Thaw should write.", status, same[0], path))
			}
		}
		if slices.Contains(e.Kind.written(), status) {
			reason := ""
			if status == paused {
				reason = string(enum.ReasonAccountDisconnected)
			}
			if _, ok := e.StatusWord(status, reason); !ok {
				d.add(e.Status.Line, path+".map", fmt.Sprintf("no word means %s, which Thaw has to write", status),
					"Add the word that your platform uses for it.")
			}
		}
	}
}

// list names words in a sentence.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	return strings.Join(quoted, ", ")
}
