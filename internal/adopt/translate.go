package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"github.com/thawline/thaw/internal/enum"
)

const (
	// sampledRows is how many rows are read to find the words of a column.
	sampledRows = 10_000
	// sampledWords is how many words a column of states has at most.
	sampledWords = 40
)

// words proposes the translation of a column, or returns nil if there is no such column.
func (p *proposal) words(t *Table, kind Kind, fieldName string, usual map[string]string, ours []string) (*yaml.Node, error) {
	column := p.find(t, fieldName)
	if column == nil {
		return nil, nil
	}
	found, comment := column.Words, ""
	isComplete := len(found) > 0 // the type or a CHECK constraint lists the words
	switch {
	case column.BaseType == "bool":
		found, isComplete = []string{"true", "false"}, true
	case !isComplete:
		var err error
		if found, comment, err = p.sample(t, column); err != nil {
			return nil, err
		}
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	put(node, "column", scalar(column.Name))
	if fieldName == "reason" {
		node.Content = append(node.Content, scalar("map"), p.reasonMap(found, usual))
		return node, nil
	}
	all := p.wordMap(found, comment, usual, ours)
	if !isComplete && fieldName == "status" {
		addWritten(all, kind)
	}
	put(node, "map", all)
	return node, nil
}

// sample reads the words of a column from the table. The comment says why there are none.
func (p *proposal) sample(t *Table, c *Column) (found []string, comment string, err error) {
	rows, err := p.db.Query(p.ctx, fmt.Sprintf(
		"SELECT DISTINCT s.word FROM (SELECT t.%s::text AS word FROM %s AS t LIMIT %d) AS s WHERE s.word <> '' ORDER BY s.word LIMIT %d",
		name(c.Name), qualified(t.Name), sampledRows, sampledWords+1))
	if err == nil {
		found, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	switch {
	case isDenied(err):
		return nil, "this role may not read " + t.Name.String(), nil
	case err != nil:
		return nil, "", err
	case len(found) > sampledWords:
		return nil, fmt.Sprintf("%s has more than %d words", c.Name, sampledWords), nil
	case len(found) == 0:
		return nil, t.Name.String() + " has no rows", nil
	}
	return slices.DeleteFunc(found, func(word string) bool { return len(word) > maxName }), "", nil
}

// addWritten adds the statuses that Thaw writes and for which no row has a word now, unless a
// question mark may be one of them.
func addWritten(all *yaml.Node, kind Kind) {
	meant := map[string]bool{}
	for i := 1; i < len(all.Content); i += 2 {
		meant[all.Content[i].Value] = true
	}
	if meant[undecided] {
		return
	}
	for _, status := range kind.written() {
		if !meant[status] {
			value := scalar(status)
			value.LineComment = "the word that Thaw writes for it; no row has one now"
			all.Content = append(all.Content, unknown(""), value)
		}
	}
}

func (p *proposal) wordMap(found []string, comment string, usual map[string]string, ours []string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, word := range found {
		meaning, ok := usual[plain(word)]
		switch {
		case ok:
			put(node, word, scalar(meaning))
		case slices.Contains(ours, paused) && slices.Contains(pausedForAccount, plain(word)):
			both := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			put(both, "status", scalar(paused))
			put(both, "reason", scalar(string(enum.ReasonAccountDisconnected)))
			put(node, word, both)
		default:
			put(node, word, unknown("one of "+strings.Join(ours, ", ")))
		}
	}
	if len(found) == 0 {
		if comment == "" {
			comment = "each word of the column, with what it means"
		}
		word := unknown("")
		value := unknown(comment + "; one of " + strings.Join(ours, ", "))
		node.Content = append(node.Content, word, value)
	}
	return node
}

// reasonMap has only the words that are known: all others are covered by else.
func (p *proposal) reasonMap(found []string, usual map[string]string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	var others []string
	for _, word := range found {
		if meaning, ok := usual[plain(word)]; ok && meaning != string(enum.ReasonPausedByUser) {
			put(node, word, scalar(meaning))
		} else {
			others = append(others, word)
		}
	}
	if len(node.Content) == 0 {
		value := scalar(string(enum.ReasonAccountDisconnected))
		value.LineComment = "the word that Thaw writes when it pauses a row because its account disconnected"
		node.Content = append(node.Content, unknown(""), value)
	}
	if len(others) > 0 {
		last := node.Content[len(node.Content)-1]
		last.LineComment = strings.TrimPrefix(last.LineComment+"; all other words, such as "+list(others)+": else", "; ")
	}
	return node
}
