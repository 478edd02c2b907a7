package readmodel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Setting is a fleet setting, which all processes share.
type Setting struct {
	Name string `json:"name"` // its column in thaw.settings
	// Value and Standard, its default, are numbers, seconds if IsDuration is true, or 0 (false) and
	// 1 (true) if IsSwitch is true.
	Value      float64 `json:"value"`
	Standard   float64 `json:"default"`
	IsDuration bool    `json:"is_duration"`
	IsSwitch   bool    `json:"is_switch"`
	// Changed is its last change; nil if it has not changed recently.
	Changed *SettingChange `json:"changed"`
}

// IsStandard reports whether the setting has its default.
func (s Setting) IsStandard() bool { return s.Value == s.Standard }

// A SettingChange is a change of a setting, from the audit log.
type SettingChange struct {
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	From  string    `json:"from"` // as Postgres prints it
}

// A ProcessSetting is a setting of the process that serves pages and API.
type ProcessSetting struct {
	Flag  string `json:"flag"`  // without dashes
	Env   string `json:"env"`   // the environment variable
	Value string `json:"value"` // without secrets
	// Source is flag, environment or default.
	Source string `json:"source"`
	Help   string `json:"help"`
}

// settingChanges is how many of the latest changes are searched for the last one of each setting.
const settingChanges = 200

// FleetSettings returns the fleet settings in the order of their table.
func FleetSettings(ctx context.Context, db *store.Store) ([]Setting, error) {
	var settings []Setting
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		rows, err := q.SettingValues(ctx)
		if err != nil {
			return err
		}
		history, err := audit(ctx, q, Everything(), AuditFilter{What: "settings_changed"}, Paging{Limit: settingChanges})
		if err != nil {
			return err
		}
		changes := map[string]*SettingChange{}
		for _, entry := range history.Items { // newest first
			for name, from := range changedSettings(entry.Reason) {
				if changes[name] == nil {
					changes[name] = &SettingChange{At: entry.At, Actor: entry.Actor, From: from}
				}
			}
		}
		for _, r := range rows {
			settings = append(settings, Setting{r.Name, r.Value, r.Standard, r.IsInterval, r.IsBoolean, changes[r.Name]})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	return settings, nil
}

// changedSettings parses the reason that thaw.settings_write_history writes, such as "fleet_cap
// 2000
// -> 3000, tick 00:15:00 -> 00:05:00", into the old value of each setting.
func changedSettings(reason string) map[string]string {
	from := map[string]string{}
	for part := range strings.SplitSeq(reason, ", ") {
		before, _, isChange := strings.Cut(part, " -> ")
		name, value, hasValue := strings.Cut(before, " ")
		if isChange && hasValue {
			from[name] = value
		}
	}
	return from
}
