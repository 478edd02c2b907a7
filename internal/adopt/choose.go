package adopt

import (
	"slices"
)

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

// idOf returns the column that identifies a row, or "".
func idOf(t *Table) string {
	for _, k := range t.Keys {
		if k.IsPrimary && len(k.Columns) > 0 && t.isKey(k.Columns[0]) {
			return k.Columns[0]
		}
	}
	return ""
}
