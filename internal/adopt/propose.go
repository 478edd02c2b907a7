package adopt

import (
	"context"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/thawline/thaw/internal/enum"
)

// Propose writes a mapping for the tables of a catalog. What it could not guess has a question
// mark, with which the mapping cannot be used, and a comment that says what belongs there. It reads
// a few rows of columns of states whose type does not list the words.
func Propose(ctx context.Context, db Queryer, catalog *Catalog) (string, error) {
	if len(catalog.Tables) == 0 {
		return "", errNoTables
	}
	p := &proposal{ctx: ctx, db: db, catalog: catalog, tables: map[Kind]*Table{}}
	p.choose()
	root := &yaml.Node{Kind: yaml.MappingNode, HeadComment: p.head()}
	for _, kind := range Kinds {
		section, err := p.section(kind)
		if err != nil {
			return "", err
		}
		key := scalar(string(kind))
		key.HeadComment = p.alternatives(kind)
		root.Content = append(root.Content, key, section)
	}
	var b strings.Builder
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return "", err
	}
	return b.String(), encoder.Close()
}

type proposal struct {
	ctx     context.Context
	db      Queryer
	catalog *Catalog
	tables  map[Kind]*Table
	others  map[Kind][]*Table
}

func (p *proposal) head() string {
	lines := []string{
		"Where the platform keeps what Thaw needs. Proposed by \"thaw adopt init\" from the tables of this",
		"database: review every line.",
		"",
		"Replace each \"?\" by the value that the comment next to it describes.",
	}
	for _, t := range p.catalog.Tables {
		reason, isRefused := kinds[t.Kind]
		if !isRefused {
			continue
		}
		for _, kind := range Kinds {
			if rank(tableNames[kind], t.Name.Table, true) >= 0 {
				what, _, _ := strings.Cut(reason, ":")
				what, _, _ = strings.Cut(what, ",")
				lines = append(lines, "", fmt.Sprintf("%s %s and was not considered.", t.Name, what))
				break
			}
		}
	}
	return strings.Join(lines, "\n")
}

func (p *proposal) alternatives(kind Kind) string {
	var all []string
	for i, t := range p.others[kind] {
		if i == 5 {
			break
		}
		all = append(all, t.Name.String())
	}
	if len(all) == 0 {
		return ""
	}
	return "Other tables with such a name: " + strings.Join(all, ", ") + "."
}

func (p *proposal) section(kind Kind) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	t := p.tables[kind]
	if t == nil {
		put(node, "table", unknown("schema.table: no table with a usual name was found"))
		put(node, "id", unknown("the column with the platform's id"))
		for _, f := range fields[kind] {
			if f.required {
				put(node, f.name, unknown(f.about))
			}
		}
		if kind.hasStatus() {
			status := &yaml.Node{Kind: yaml.MappingNode}
			put(status, "column", unknown("the column with the state"))
			put(status, "map", p.wordMap(nil, "", meanings[kind], kind.statuses()))
			put(node, "status", status)
		}
		return node, nil
	}
	put(node, "table", scalar(t.Name.String()))
	if id := idOf(t); id != "" {
		put(node, "id", scalar(id))
	} else {
		put(node, "id", unknown("a column with a unique index that is not null"))
	}
	var absent []string
	for _, f := range fields[kind] {
		value, err := p.value(t, kind, f)
		if err != nil {
			return nil, err
		}
		switch {
		case value != nil:
			put(node, f.name, value)
		case f.required:
			put(node, f.name, unknown(f.about))
		default:
			absent = append(absent, fmt.Sprintf("%s: %s", f.name, f.about))
		}
	}
	if kind.hasStatus() {
		status, err := p.words(t, kind, "status", meanings[kind], kind.statuses())
		if err != nil {
			return nil, err
		}
		if status == nil {
			status = &yaml.Node{Kind: yaml.MappingNode}
			put(status, "column", unknown("the column with the state"))
			put(status, "map", p.wordMap(nil, "", meanings[kind], kind.statuses()))
		} else {
			put(status, "unknown", scalar("park"))
		}
		put(node, "status", status)
		if column := p.find(t, "deleted"); column != nil && (column.BaseType == "bool" || column.Category == "D") {
			put(node, "deleted", scalar(column.Name))
		} else {
			absent = append(absent, "deleted: the column of a soft delete")
		}
		put(node, "delete", scalar(deletes[kind][0]))
	}
	if kind.hasReason() {
		reason, err := p.words(t, kind, "reason", reasonMeanings, kind.reasons())
		if err != nil {
			return nil, err
		}
		if reason != nil {
			put(reason, "else", scalar(string(enum.ReasonPausedByUser)))
			if column := p.find(t, "reason"); column.NotNull && column.Category == "S" {
				put(reason, "none", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, LineComment: "the word of a row that is not paused"})
			} else if column.NotNull {
				put(reason, "none", unknown("the word of a row that is not paused"))
			}
			put(node, "reason", reason)
		} else {
			absent = append(absent, "reason: {column: …, map: {…}, else: paused_by_user}: why a row is paused")
		}
	}
	if len(absent) > 0 {
		node.Content[0].HeadComment = "Optional, and no column was found:\n  " + strings.Join(absent, "\n  ")
	}
	return node, nil
}

func (p *proposal) value(t *Table, kind Kind, f field) (*yaml.Node, error) {
	column := p.find(t, f.name)
	switch {
	case f.name == "tier":
		return p.words(t, kind, f.name, tierMeanings, f.words)
	case f.name == "prospect_url" && column == nil, column == nil && f.name == "workspace" && kind != Enrollments:
		return p.joined(t, f.name), nil
	case column == nil || column.Name == idOf(t) && f.name != "key":
		return nil, nil
	}
	return scalar(column.Name), nil
}

// joined finds a value in a table that a foreign key refers to.
func (p *proposal) joined(t *Table, fieldName string) *yaml.Node {
	for _, r := range t.References {
		other := p.catalog.Table(r.Target)
		if other == nil || other == p.tables[Campaigns] || other == p.tables[Accounts] {
			continue
		}
		if column := p.find(other, fieldName); column != nil && other.isKey(r.TargetColumn) {
			node := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			put(node, "table", scalar(other.Name.String()))
			put(node, "by", scalar(r.Column))
			if r.TargetColumn != "id" {
				put(node, "key", scalar(r.TargetColumn))
			}
			put(node, "column", scalar(column.Name))
			return node
		}
	}
	return nil
}

func scalar(text string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(text)
	return node
}

func unknown(comment string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: undecided, Style: yaml.DoubleQuotedStyle, LineComment: comment}
}

func put(node *yaml.Node, key string, value *yaml.Node) {
	node.Content = append(node.Content, scalar(key), value)
}
