package adopt

import (
	"context"
	"fmt"
	"regexp"
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

// tableNames match the last words of table names, as [plain] writes them, best first.
var tableNames = map[Kind][]*regexp.Regexp{
	Workspaces: patterns(`workspace`, `organi[sz]ation`, `tenant`, `team`, `compan(y|ie)`, `client`),
	Accounts: patterns(`linked_?in_?account`, `(sender|sending|provider|connected|email|social)_?account`, `mailbox(e)?`, `seat`, `sender`, `linked_?in_?(seat|profile|user)`,
		`account`, `integration`),
	Campaigns:   patterns(`campaign`, `sequence`, `cadence`, `flow`),
	Enrollments: patterns(`enrol?lment`, `campaign_?(lead|member|prospect|contact|recipient)`, `sequence_?(lead|member|prospect|contact)`, `lead`, `prospect`, `contact`, `recipient`),
}

// columnNames match the names of columns, best first.
var columnNamesOf = map[string][]*regexp.Regexp{
	"workspace": patterns(`workspace`, `workspace_id`, `organi[sz]ation_id`, `organi[sz]ation`, `tenant_id`, `tenant`, `team_id`, `team`, `compan(y|ie)_id`, `client_id`),
	"key":       patterns(`key`, `slug`),
	"name":      patterns(`name`, `title`, `full_name`, `display_name`, `label`),
	"provider":  patterns(`provider`, `provider_name`),
	"provider_account_id": patterns(`unipile_account_id`, `unipile_id`, `provider_account_id`, `provider_id`, `external_account_id`, `external_id`, `remote_id`,
		`account_id`, `email_address`, `email`),
	"member":         patterns(`member_id`, `member_urn`, `urn`, `provider_member_id`, `person_id`, `profile_urn`, `linked_?in_id`),
	"timezone":       patterns(`time_?zone`, `tz`, `time_zone_name`),
	"campaign":       patterns(`campaign_id`, `campaign`, `sequence_id`, `sequence`, `cadence_id`, `flow_id`),
	"account":        patterns(`sender_account_id`, `linked_?in_account_id`, `account_id`, `sender_id`, `seat_id`, `mailbox_id`, `sender`, `account`),
	"prospect_url":   patterns(`linked_?in_url`, `profile_url`, `prospect_url`, `linked_?in_profile_url`, `linked_?in_profile`, `url`, `linked_?in`, `email_address`, `email`),
	"step":           patterns(`current_step`, `step`, `step_number`, `step_index`, `current_step_number`, `position`),
	"next_action_at": patterns(`next_action_at`, `next_run_at`, `next_step_at`, `due_at`, `scheduled_at`, `run_at`, `next_send_at`, `scheduled_for`, `run_after`),
	"paused_at":      patterns(`paused_at`, `halted_at`, `held_at`, `on_hold_since`),
	"status":         patterns(`status`, `state`, `connection_(status|state)`, `.*_(status|state)`, `stage`, `(is_)?(active|enabled|running)`, `health`),
	"reason":         patterns(`paused?_(cause|reason)`, `halt_(cause|reason)`, `(status|state)_reason`, `hold_reason`, `held_because`, `stop_reason`, `reason`),
	"deleted":        patterns(`deleted_at`, `discarded_at`, `archived_at`, `is_deleted`, `deleted`),
}

// meanings are the usual words of platforms, as [plain] writes them.
var meanings = map[Kind]map[string]string{
	Accounts: words(map[enum.AccountStatus]string{
		enum.AccountConnected:         "ok connected active running live healthy",
		enum.AccountConnecting:        "connecting pending new created syncing initializing reconnecting",
		enum.AccountDisconnected:      "disconnected credentials expired logged_out needs_reconnect reconnect_required signed_out auth_failed",
		enum.AccountNeedsVerification: "needs_verification checkpoint verification verify challenge permissions captcha two_factor",
		enum.AccountRestricted:        "restricted banned blocked suspended limited",
		enum.AccountError:             "error errored failed failing stopped degraded",
		enum.AccountRemoved:           "removed deleted archived",
	}),
	Campaigns: words(map[enum.CampaignStatus]string{
		enum.CampaignDraft:     "draft new created",
		enum.CampaignRunning:   "running active live started in_progress true",
		enum.CampaignPaused:    "paused halted on_hold stopped suspended false",
		enum.CampaignCompleted: "completed complete done finished ended archived",
	}),
	Enrollments: words(map[enum.EnrollmentStatus]string{
		enum.EnrollmentPending:   "pending queued new scheduled waiting created not_started",
		enum.EnrollmentActive:    "active running in_progress live contacted sending",
		enum.EnrollmentPaused:    "paused on_hold halted suspended paused_by_user paused_manually",
		enum.EnrollmentCompleted: "completed complete done finished",
		enum.EnrollmentReplied:   "replied answered responded",
		enum.EnrollmentFailed:    "failed error errored bounced",
		enum.EnrollmentRemoved:   "removed deleted unsubscribed opted_out cancelled canceled stopped",
	}),
}

// reasonMeanings are the usual words for the reason of a pause.
var reasonMeanings = words(map[enum.PauseReason]string{
	enum.ReasonAccountDisconnected: "account_disconnected account_lost disconnected linkedin_account_disconnected lost_account sender_disconnected",
	enum.ReasonAccountIssue:        "account_issue linkedin_account_issue account_error sender_error",
	enum.ReasonAccountRestricted:   "account_restricted restricted",
	enum.ReasonPausedByUser:        "paused_by_user user manual by_user person",
})

// pausedForAccount are the usual status words that also say why a prospect is paused.
var pausedForAccount = []string{"paused_account", "account_paused", "paused_by_account", "paused_account_lost", "account_lost", "paused_disconnected", "account_disconnected"}

func words[T ~string](all map[T]string) map[string]string {
	meanings := map[string]string{}
	for ours, theirs := range all {
		for _, word := range strings.Fields(theirs) {
			meanings[word] = string(ours)
		}
	}
	return meanings
}

func patterns(all ...string) []*regexp.Regexp {
	compiled := make([]*regexp.Regexp, len(all))
	for i, pattern := range all {
		compiled[i] = regexp.MustCompile(`^(?:` + pattern + `)$`)
	}
	return compiled
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// plain writes a name as the patterns expect it: "CampaignLead" and "campaign-lead" are
// "campaign_lead".
func plain(text string) string {
	text = camel.ReplaceAllString(text, "${1}_${2}")
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(strings.TrimSpace(text)))
}

// rank returns how well a name matches: the lower the better, and -1 if it does not. Of a table
// name the last words have to match, because frameworks put the name of the application before it.
func rank(all []*regexp.Regexp, text string, isTable bool) int {
	text = plain(text)
	if !isTable {
		return slices.IndexFunc(all, func(p *regexp.Regexp) bool { return p.MatchString(text) })
	}
	parts := strings.Split(strings.TrimSuffix(text, "s"), "_")
	for i, pattern := range all {
		for from := range parts {
			if pattern.MatchString(strings.Join(parts[from:], "_")) {
				return i
			}
		}
	}
	return -1
}

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

// choose finds the table of each kind: the enrollments first, because their foreign keys name the
// campaigns and the accounts.
func (p *proposal) choose() {
	p.others = map[Kind][]*Table{}
	scores := map[Kind]map[*Table]int{}
	for _, kind := range Kinds {
		scores[kind] = map[*Table]int{}
		for _, t := range p.catalog.Tables {
			if (t.Kind != "r" && t.Kind != "p") || t.IsPartition || t.IsTemporary {
				continue
			}
			if position := rank(tableNames[kind], t.Name.Table, true); position >= 0 {
				scores[kind][t] = 100 - 10*position
			}
		}
	}
	// A table with another name is one if it refers to a campaign and to an account. It needs some of
	// the usual columns too, because so does a log of messages.
	for _, t := range p.catalog.Tables {
		refersTo := func(kind Kind) bool {
			return slices.ContainsFunc(t.References, func(r Reference) bool {
				target := p.catalog.Table(r.Target)
				return target != nil && scores[kind][target] > 0
			})
		}
		if (t.Kind == "r" || t.Kind == "p") && !t.IsPartition && scores[Enrollments][t] == 0 && refersTo(Campaigns) && refersTo(Accounts) {
			scores[Enrollments][t] = 1
		}
	}
	for t := range scores[Enrollments] {
		// An enrollment belongs to a campaign. A table of leads, without one, is not what is meant.
		if p.find(t, "campaign") == nil {
			scores[Enrollments][t] -= 60
		}
		for _, field := range []string{"status", "account", "step", "next_action_at"} {
			if p.find(t, field) != nil {
				scores[Enrollments][t] += 15
			}
		}
	}
	for t := range scores[Accounts] {
		for _, field := range []string{"status", "provider_account_id", "workspace"} {
			if p.find(t, field) != nil {
				scores[Accounts][t] += 20
			}
		}
	}
	for t := range scores[Campaigns] {
		if p.find(t, "status") != nil {
			scores[Campaigns][t] += 20
		}
	}
	best := func(kind Kind) *Table {
		var all []*Table
		for _, t := range p.catalog.Tables {
			if scores[kind][t] >= 40 && !slices.Contains([]*Table{p.tables[Enrollments], p.tables[Accounts], p.tables[Campaigns]}, t) {
				all = append(all, t)
			}
		}
		slices.SortStableFunc(all, func(a, b *Table) int { return scores[kind][b] - scores[kind][a] })
		if len(all) == 0 {
			return nil
		}
		p.others[kind] = all[1:]
		return all[0]
	}
	p.tables[Enrollments] = best(Enrollments)
	for kind, field := range map[Kind]string{Campaigns: "campaign", Accounts: "account"} {
		if t := p.target(p.tables[Enrollments], field); t != nil && scores[kind][t] > 0 {
			scores[kind][t] += 200
		}
	}
	p.tables[Campaigns], p.tables[Accounts] = best(Campaigns), best(Accounts)
	for _, kind := range []Kind{Campaigns, Accounts} {
		if t := p.target(p.tables[kind], "workspace"); t != nil {
			scores[Workspaces][t] += 200
		}
	}
	p.tables[Workspaces] = best(Workspaces)
}

// find returns the column of a table that best fits a field, or nil.
func (p *proposal) find(t *Table, fieldName string) *Column {
	var found *Column
	position := len(columnNamesOf[fieldName])
	for _, c := range t.Columns {
		holds := text
		for _, all := range fields {
			for _, f := range all {
				if f.name == fieldName {
					holds = f.holds
				}
			}
		}
		if i := rank(columnNamesOf[fieldName], c.Name, false); i >= 0 && i < position && c.problem(holds) == "" {
			found, position = c, i
		}
	}
	return found
}

// target returns the table that the foreign key of a field refers to, or nil.
func (p *proposal) target(t *Table, fieldName string) *Table {
	if t == nil {
		return nil
	}
	column := p.find(t, fieldName)
	if column == nil {
		return nil
	}
	if r := t.reference(column.Name); r != nil {
		return p.catalog.Table(r.Target)
	}
	return nil
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
		value := p.value(t, kind, f)
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

// idOf returns the column that identifies a row, or "".
func idOf(t *Table) string {
	for _, k := range t.Keys {
		if k.IsPrimary && len(k.Columns) > 0 && t.isKey(k.Columns[0]) {
			return k.Columns[0]
		}
	}
	return ""
}

func (p *proposal) value(t *Table, kind Kind, f field) *yaml.Node {
	column := p.find(t, f.name)
	if f.name == "prospect_url" && column == nil {
		return p.joined(t, f.name)
	}
	if column == nil && f.name == "workspace" && kind != Enrollments {
		return p.joined(t, f.name)
	}
	if column == nil || column.Name == idOf(t) && f.name != "key" {
		return nil
	}
	return scalar(column.Name)
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
	if !isComplete {
		addWritten(all, kind)
	}
	put(node, "map", all)
	return node, nil
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
