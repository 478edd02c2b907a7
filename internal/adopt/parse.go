package adopt

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/thawline/thaw/internal/enum"
)

const (
	// MaxSize is the largest mapping that is read, in bytes.
	MaxSize = 256 << 10
	// maxProblems is how many problems are listed. Further problems are only counted.
	maxProblems = 30
	// maxWords is how many words a map can have.
	maxWords = 500
	// maxName is how long a name, word or value can be.
	maxName = 200
)

// undecided marks what a proposal could not guess.
const undecided = "?"

// A Problem is something in the mapping that has to be changed.
type Problem struct {
	Line    int    `json:"line,omitempty"` // 0: the whole file
	Path    string `json:"path,omitempty"` // accounts.status.map, for example
	Message string `json:"message"`        // what is wrong, and why
	Fix     string `json:"fix,omitempty"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString(". " + p.Fix)
	}
	return b.String()
}

// Problems is the error of a mapping that cannot be used.
type Problems struct { //nolint:errname // It is a list of problems.
	List []Problem
	// Total includes problems that are not in the list.
	Total int
}

func (p *Problems) Error() string {
	var b strings.Builder
	b.WriteString("the mapping cannot be used")
	for _, problem := range p.List {
		b.WriteString("\n  " + problem.String())
	}
	if more := p.Total - len(p.List); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

func (p *Problems) add(line int, path, message, fix string) {
	p.Total++
	if len(p.List) < maxProblems {
		p.List = append(p.List, Problem{line, path, message, fix})
	}
}

func (p *Problems) orNil() error {
	if p.Total == 0 {
		return nil
	}
	return p
}

// Read reads a mapping of at most [MaxSize].
func Read(r io.Reader) (*Mapping, error) {
	source, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	if len(source) > MaxSize {
		return nil, fmt.Errorf("the mapping is larger than %d KB, which no mapping needs: check that it is the right file", MaxSize>>10)
	}
	return Parse(string(source))
}

// Parse reads a mapping. The error is [*Problems] if it is YAML that cannot be used.
func Parse(source string) (*Mapping, error) {
	documents := yaml.NewDecoder(strings.NewReader(source))
	var document yaml.Node
	switch err := documents.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the mapping is empty: \"thaw adopt init\" writes one")
	case err != nil:
		return nil, fmt.Errorf("the mapping is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	d := &decoder{}
	if documents.Decode(&yaml.Node{}) == nil {
		d.add(0, "", "the file has more than one YAML document, and only one is read", "Remove the others.")
	}
	m := &Mapping{Source: source}
	d.mapping(document.Content[0], m)
	if d.Total == 0 {
		for _, e := range m.Entities {
			e.check(d)
		}
	}
	slices.SortStableFunc(d.List, func(a, b Problem) int { return a.Line - b.Line })
	return m, d.orNil()
}

// A decoder walks over the nodes of a mapping. It does not use the decoding into structs of the
// library, which loses the line numbers, ignores unknown fields of nested nodes, and says "cannot
// unmarshal !!seq into string".
type decoder struct{ Problems }

func (d *decoder) mapping(node *yaml.Node, m *Mapping) {
	sections := make([]string, len(Kinds))
	for i, kind := range Kinds {
		sections[i] = string(kind)
	}
	found := map[Kind]*Entity{}
	d.fields(node, "", sections, func(key, value *yaml.Node) {
		kind := Kind(key.Value)
		found[kind] = d.entity(value, kind)
	})
	if d.Total > 0 && len(found) == 0 {
		return
	}
	for _, kind := range Kinds {
		switch e := found[kind]; {
		case e != nil:
			m.Entities = append(m.Entities, e)
		case found[kind] == nil && !slices.ContainsFunc(d.List, func(p Problem) bool { return strings.HasPrefix(p.Path, string(kind)) }):
			d.add(0, string(kind), "the section is missing", "Add it: Thaw needs all four sections.")
		}
	}
}

func (d *decoder) entity(node *yaml.Node, kind Kind) *Entity {
	path := string(kind)
	e := &Entity{Kind: kind, Line: node.Line, Values: map[string]Value{}, Delete: deletes[kind][0]}
	allowed := []string{"table", "id"}
	for _, f := range fields[kind] {
		allowed = append(allowed, f.name)
	}
	if kind.hasStatus() {
		allowed = append(allowed, "status", "deleted", "delete")
	}
	if kind.hasReason() {
		allowed = append(allowed, "reason")
	}
	before := d.Total
	d.fields(node, path, allowed, func(key, value *yaml.Node) {
		at := path + "." + key.Value
		switch key.Value {
		case "table":
			e.Table = d.table(value, at)
		case "id":
			e.ID = d.name(value, at)
		case "status":
			e.Status = d.words(value, at, kind, false)
		case "reason":
			e.Reason = d.words(value, at, kind, true)
		case "deleted":
			if v, ok := d.value(value, at, field{}); ok {
				e.Deleted = &v
			}
		case "delete":
			e.Delete = d.choice(value, at, deletes[kind])
		default:
			i := slices.IndexFunc(fields[kind], func(f field) bool { return f.name == key.Value })
			if v, ok := d.value(value, at, fields[kind][i]); ok {
				e.Values[key.Value] = v
			}
		}
	})
	if d.Total > before {
		return nil
	}
	missing := func(name, what string) {
		d.add(node.Line, path, fmt.Sprintf("%s is missing: %s", name, what), "Add it.")
	}
	if e.Table.Table == "" {
		missing("table", "the table that has the "+path)
	}
	if e.ID == "" {
		missing("id", "the column with the platform's id")
	}
	for _, f := range fields[kind] {
		if _, ok := e.Values[f.name]; f.required && !ok {
			missing(f.name, f.about)
		}
	}
	if kind.hasStatus() && e.Status == nil {
		missing("status", "the column with the state, and what each word in it means")
	}
	return e
}

// fields calls set for each field of a YAML mapping.
func (d *decoder) fields(node *yaml.Node, path string, allowed []string, set func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.unexpected(node, path, "a list of fields, such as \"table: app.accounts\"")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || len(key.Value) > maxName:
			d.unexpected(key, path, "a field name")
		case !slices.Contains(allowed, key.Value):
			d.add(key.Line, path, fmt.Sprintf("%q is no field here", key.Value), "Fields: "+strings.Join(allowed, ", ")+".")
		case seen[key.Value]:
			d.add(key.Line, join(path, key.Value), "the field is there twice", "Remove one of them.")
		default:
			seen[key.Value] = true
			set(key, value)
		}
	}
}

// scalar returns the text of a scalar, whatever its type: 1 and true are words of a platform too.
func (d *decoder) scalar(node *yaml.Node, path, want string) (string, bool) {
	switch {
	case node.Kind != yaml.ScalarNode || node.Tag == "!!null":
		d.unexpected(node, path, want)
	case node.Value == undecided:
		d.add(node.Line, path, "this is not decided: thaw adopt init could not guess it", "Replace the question mark by "+want+".")
	case node.Value == "" || len(node.Value) > maxName:
		d.add(node.Line, path, fmt.Sprintf("a value here has 1 to %d bytes, not %d", maxName, len(node.Value)), "")
	default:
		return node.Value, true
	}
	return "", false
}

func (d *decoder) name(node *yaml.Node, path string) string {
	name, _ := d.scalar(node, path, "the name of a column")
	return name
}

func (d *decoder) table(node *yaml.Node, path string) Name {
	text, ok := d.scalar(node, path, "the name of a table with its schema, such as app.accounts")
	if !ok {
		return Name{}
	}
	name, ok := parseName(text)
	if !ok {
		d.add(node.Line, path, fmt.Sprintf("%q is no name of a table", text), "Write schema.table.")
	}
	return name
}

func (d *decoder) choice(node *yaml.Node, path string, allowed []string) string {
	text, ok := d.scalar(node, path, "one of "+strings.Join(allowed, ", "))
	if ok && !slices.Contains(allowed, text) {
		d.add(node.Line, path, fmt.Sprintf("%q is not possible here", text), "Use "+strings.Join(allowed, ", ")+".")
	}
	return text
}

func (d *decoder) value(node *yaml.Node, path string, f field) (Value, bool) {
	before := d.Total
	v := Value{Line: node.Line}
	if node.Kind != yaml.MappingNode {
		v.Column = d.name(node, path)
		return v, d.Total == before
	}
	allowed := []string{"table", "by", "key", "column"}
	if f.isFixed {
		allowed = append(allowed, "value")
	}
	if f.words != nil {
		allowed = append(allowed, "map")
	}
	j := Join{Key: "id"}
	d.fields(node, path, allowed, func(key, value *yaml.Node) {
		at := path + "." + key.Value
		switch key.Value {
		case "table":
			j.Table = d.table(value, at)
		case "by":
			j.By = d.name(value, at)
		case "key":
			j.Key = d.name(value, at)
		case "column":
			j.Column = d.name(value, at)
		case "map":
			d.pairs(value, at, func(key, value *yaml.Node) {
				v.Map = append(v.Map, Word{Line: key.Line, Theirs: key.Value, Ours: d.word(value, at+"."+key.Value, f)})
			})
		default:
			text, _ := d.scalar(value, at, "the value of all rows")
			v.Fixed = &text
		}
	})
	switch {
	case d.Total > before:
		return v, false
	case v.Fixed != nil && (j.Table.Table != "" || j.By != "" || j.Column != ""):
		d.add(node.Line, path, "a value of all rows comes from no table", "Keep value, or table, by and column.")
	case v.Fixed != nil:
	case f.words != nil && j.Table.Table == "" && j.By == "" && j.Column != "":
		v.Column = j.Column
	case j.Table.Table == "" || j.By == "" || j.Column == "":
		d.add(node.Line, path, "a value in another table needs table, by and column",
			"Write {table: app.leads, by: lead_id, column: linkedin_url}: by is the column here that refers to the other table. Its key is id, or add key.")
	default:
		v.Join = &j
	}
	return v, d.Total == before
}

// word reads what a word of a translated field means.
func (d *decoder) word(node *yaml.Node, path string, f field) string {
	if f.name != "next_kind" {
		return d.choice(node, path, f.words)
	}
	text, ok := d.scalar(node, path, "one of "+strings.Join(f.words, ", ")+", or a kind of your own in thaw.action_kinds")
	if ok && !kindPattern.MatchString(text) {
		d.add(node.Line, path, fmt.Sprintf("%q is no kind of action", text), "Use "+strings.Join(f.words, ", ")+".")
	}
	return text
}

func (d *decoder) words(node *yaml.Node, path string, kind Kind, isReason bool) *Words {
	w := &Words{Line: node.Line}
	ours := kind.statuses()
	allowed := []string{"column", "map", "back", "unknown"}
	if isReason {
		ours, w.Else = kind.reasons(), string(enum.ReasonPausedByUser)
		allowed = []string{"column", "map", "back", "else", "none"}
	}
	d.fields(node, path, allowed, func(key, value *yaml.Node) {
		at := path + "." + key.Value
		switch key.Value {
		case "column":
			w.Column = d.name(value, at)
		case "map":
			d.pairs(value, at, func(key, value *yaml.Node) {
				word := Word{Line: key.Line, Theirs: key.Value}
				if !isReason && kind.hasReason() && value.Kind == yaml.MappingNode {
					word.Ours, word.Reason = d.pausedWord(value, at+"."+key.Value, kind)
				} else {
					word.Ours = d.choice(value, at+"."+key.Value, ours)
				}
				w.Map = append(w.Map, word)
			})
		case "back":
			d.pairs(value, at, func(key, value *yaml.Node) {
				if !slices.Contains(ours, key.Value) {
					d.add(key.Line, at, fmt.Sprintf("%q is not one of Thaw's words here", key.Value), "Use "+strings.Join(ours, ", ")+".")
				}
				theirs, _ := d.scalar(value, at+"."+key.Value, "the word that Thaw writes")
				w.Back = append(w.Back, Word{Line: key.Line, Theirs: theirs, Ours: key.Value})
			})
		case "else":
			w.Else = d.choice(value, at, ours)
		case "none":
			none := ""
			if value.Kind != yaml.ScalarNode || value.Tag != "!!str" || value.Value != "" {
				none, _ = d.scalar(value, at, "the word of a row that is not paused")
			}
			w.None = &none
		default:
			d.choice(value, at, []string{"park"})
		}
	})
	if w.Column == "" && d.Total == 0 {
		d.add(node.Line, path, "column is missing", "Name the column whose words the map translates.")
	}
	if !isReason && len(w.Map) == 0 && d.Total == 0 {
		d.add(node.Line, path, "map is missing or empty", "Write what each word means, such as {ok: connected}.")
	}
	return w
}

// pausedWord reads what a status word means that also says why the row is paused.
func (d *decoder) pausedWord(node *yaml.Node, path string, kind Kind) (status, reason string) {
	d.fields(node, path, []string{"status", "reason"}, func(key, value *yaml.Node) {
		if key.Value == "status" {
			status = d.choice(value, path+".status", []string{paused})
		} else {
			reason = d.choice(value, path+".reason", kind.reasons())
		}
	})
	if status == "" || reason == "" {
		d.add(node.Line, path, "a word with a reason needs status and reason", "Write {status: paused, reason: account_disconnected}.")
	}
	return status, reason
}

// pairs calls set for each pair of a YAML mapping whose keys are words.
func (d *decoder) pairs(node *yaml.Node, path string, set func(key, value *yaml.Node)) {
	switch {
	case node.Kind != yaml.MappingNode:
		d.unexpected(node, path, "words and what they mean, such as {ok: connected}")
		return
	case len(node.Content)/2 > maxWords:
		d.add(node.Line, path, fmt.Sprintf("there are more than %d words: this is not a column with a state", maxWords), "Map the column with the state.")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		word, ok := d.scalar(key, path, "a word")
		switch {
		case !ok:
		case seen[word]:
			d.add(key.Line, path, fmt.Sprintf("the word %q is there twice", word), "Remove one of them.")
		default:
			seen[word] = true
			set(key, node.Content[i+1])
		}
	}
}

func (d *decoder) unexpected(node *yaml.Node, path, want string) {
	found := map[yaml.Kind]string{
		yaml.MappingNode: "a list of fields", yaml.SequenceNode: "a list", yaml.AliasNode: "an alias", yaml.ScalarNode: "one value",
	}[node.Kind]
	if node.Tag == "!!null" {
		found = "nothing"
	}
	d.add(node.Line, path, "this is "+found, "Write "+want+".")
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
