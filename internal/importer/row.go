package importer

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/explain"
)

// maxField is the maximum length of a field in bytes. Keys and URLs are indexed, and Postgres
// limits index entries to about 2,700.
const maxField = 2000

const paused = "paused"

// names are the columns that may not contain invisible characters.
var names = []int{
	workspace, account, member, campaign, prospectURL, provider, accountName, timezone, accountExternalID, workspaceName,
	workspaceExternalID, campaignName, campaignExternalID, externalID,
}

const (
	// maxIdentity is the maximum length of the platform's own IDs in characters. The schema has the
	// same rule.
	maxIdentity = 200
	// maxProvider is the maximum length of the name of a provider in characters.
	maxProvider = 256
	// defaultProvider is the provider of accounts in a file that does not name one.
	defaultProvider = "linkedin"
)

// timeLayouts are RFC 3339 and the formats of Postgres, which omits the minutes of the offset if
// they are 0. All of them accept fractions of a second.
var timeLayouts = []string{time.RFC3339, "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00"}

// Times outside this range are rejected. The schema has the same rule
// (enrollments_times_are_in_range). TestTimeRangeMatchesSchema compares both.
var (
	earliestTime = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	latestTime   = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// A row has the values of a line in the types of the staging table. It is reused for all lines, and
// COPY reads it through pointers, so that a line costs no allocation except its text.
type row struct {
	line                   pgtype.Int8
	texts                  [columnCount]pgtype.Text
	step                   pgtype.Int4
	pausedAt, nextActionAt pgtype.Timestamptz
	normalURL              pgtype.Text
}

// values returns pointers to the values of the row: the line number, allColumns, and the normalized
// URL.
func (r *row) values() []any {
	values := make([]any, 1, 2+columnCount)
	values[0] = &r.line
	for column := range columnCount {
		switch column {
		case step:
			values = append(values, &r.step)
		case pausedAt:
			values = append(values, &r.pausedAt)
		case nextActionAt:
			values = append(values, &r.nextActionAt)
		default:
			values = append(values, &r.texts[column])
		}
	}
	return append(values, &r.normalURL)
}

// parse sets the row from the fields of a line, in the order of allColumns, and calls report for
// each problem.
func (r *row) parse(fields *[columnCount]string, words *vocabulary, report func(column int, message string)) {
	hasProspect := false
	for column, value := range fields {
		hasProspect = hasProspect || value != "" && isOfProspect(column)
	}
	for column, value := range fields {
		if !hasProspect && isOfProspect(column) {
			r.clear(column)
			continue
		}
		if message := r.take(column, value, words); message != "" {
			report(column, message)
		}
	}
	if !hasProspect {
		return
	}
	for _, pause := range [...]struct{ status, consequence int }{
		{campaignStatus, campaignPausedReason}, {status, pausedReason}, {status, pausedAt},
	} {
		is, filled := fields[pause.status], fields[pause.consequence] != ""
		switch {
		case is == paused && !filled:
			message := fmt.Sprintf("must not be empty if %s is paused", Columns[pause.status])
			if allowed := words[pause.consequence]; allowed != nil {
				message += ": it must be " + oneOf(allowed)
			}
			report(pause.consequence, message)
		case is != paused && filled && slices.Contains(words[pause.status], is):
			report(pause.consequence, fmt.Sprintf("must be empty if %s is %s", Columns[pause.status], is))
		}
	}
}

// clear unsets a field of the prospect.
func (r *row) clear(column int) {
	r.texts[column] = pgtype.Text{}
	switch column {
	case prospectURL:
		r.normalURL = pgtype.Text{}
	case pausedAt:
		r.pausedAt = pgtype.Timestamptz{}
	case nextActionAt:
		r.nextActionAt = pgtype.Timestamptz{}
	case step:
		r.step = pgtype.Int4{}
	}
}

// take sets one field and returns its problem, or "".
func (r *row) take(column int, value string, words *vocabulary) string {
	switch {
	case len(value) > maxField:
		return fmt.Sprintf("is %d bytes long: at most %d are allowed", len(value), maxField)
	case !utf8.ValidString(value):
		return "is not valid UTF-8"
	case strings.IndexByte(value, 0) >= 0:
		return "has a NUL byte"
	}
	if slices.Contains(names, column) {
		if message := hidden(value); message != "" {
			return message
		}
	}
	if column == campaignPausedReason || column == pausedReason {
		value = enum.CurrentReason(value)
	}
	r.texts[column] = pgtype.Text{String: value, Valid: value != ""}
	switch column {
	case workspace, account, campaign:
		if value == "" {
			return "must not be empty"
		}
	case accountStatus, campaignStatus, status:
		if !slices.Contains(words[column], value) {
			return "must be " + oneOf(words[column])
		}
	case campaignPausedReason, pausedReason, tier, nextKind:
		if value != "" && !slices.Contains(words[column], value) {
			return "must be empty or " + oneOf(words[column])
		}
	case provider:
		if value == "" {
			r.texts[column] = pgtype.Text{String: defaultProvider, Valid: true}
		} else if n := utf8.RuneCountInString(value); n > maxProvider {
			return fmt.Sprintf("is %d characters long: at most %d are allowed", n, maxProvider)
		}
	case accountExternalID, workspaceExternalID, campaignExternalID, externalID:
		if n := utf8.RuneCountInString(value); n > maxIdentity {
			return fmt.Sprintf("is %d characters long: at most %d are allowed", n, maxIdentity)
		}
	case rampStartedOn:
		return checkDate(value)
	case prospectURL:
		value = withScheme(value)
		r.texts[column].String = value
		_, isMail := explain.Mail(value)
		if u, err := url.Parse(value); !isMail && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "") {
			return "must be an http or https URL with a host, like https://www.linkedin.com/in/jane-doe, or an e-mail address"
		}
		normal := explain.NormalURL(value)
		r.normalURL = pgtype.Text{String: normal, Valid: normal != value}
	case pausedAt:
		return takeTime(&r.pausedAt, value)
	case nextActionAt:
		return takeTime(&r.nextActionAt, value)
	case step:
		return r.takeStep(value)
	}
	return ""
}

// withScheme adds https to an address without a scheme, such as linkedin.com/in/jane-doe. Any other
// text stays as it is.
func withScheme(value string) string {
	if strings.Contains(value, "://") {
		return value
	}
	u, err := url.Parse("https://" + value)
	if err != nil || u.User != nil || !strings.Contains(strings.Trim(u.Hostname(), "."), ".") {
		return value
	}
	return "https://" + value
}

// hidden describes the first invisible character in a name, or returns "". The schema has the same
// rule (thaw.is_visible).
func hidden(value string) string {
	if value == "" {
		return ""
	}
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	for place, r := range map[string]rune{"start": first, "end": last} {
		switch {
		case r == ' ':
			return "has a space at its " + place + ": delete it"
		case unicode.Is(unicode.Zs, r), r == '\u200c', r == '\u200d':
			return fmt.Sprintf("has an invisible character (%U) at its %s: delete it", r, place)
		}
	}
	for _, r := range value {
		if unicode.IsControl(r) || unicode.Is(notVisible, r) {
			return fmt.Sprintf("has an invisible character (%U): delete it", r)
		}
	}
	return ""
}

// notVisible are the format characters and line separators that thaw.is_visible rejects at any
// position.
var notVisible = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0xad, Hi: 0xad, Stride: 1}, {Lo: 0x200b, Hi: 0x200b, Stride: 1}, {Lo: 0x200e, Hi: 0x200f, Stride: 1},
	{Lo: 0x2028, Hi: 0x202e, Stride: 1}, {Lo: 0x2060, Hi: 0x206f, Stride: 1}, {Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
}, LatinOffset: 1}

func (r *row) takeStep(value string) string {
	r.step = pgtype.Int4{Valid: true}
	if value == "" {
		return ""
	}
	number, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return "must be a whole number from 0 to 2147483647, or empty (0)"
	}
	r.step.Int32 = int32(number)
	return ""
}

// checkDate returns the problem of an optional date in the past.
func checkDate(value string) string {
	if value == "" {
		return ""
	}
	// It is today in some time zone until it is over everywhere.
	parsed, err := time.Parse(time.DateOnly, value)
	if err != nil || parsed.Before(earliestTime) || parsed.After(time.Now().Add(14*time.Hour)) {
		return fmt.Sprintf("must be a date from %s to today, like 2026-01-31", earliestTime.Format(time.DateOnly))
	}
	return ""
}

func takeTime(at *pgtype.Timestamptz, value string) string {
	*at = pgtype.Timestamptz{}
	if value == "" {
		return ""
	}
	for _, layout := range timeLayouts {
		if parsed, err := time.Parse(layout, value); err == nil {
			if parsed.Before(earliestTime) || parsed.After(latestTime) {
				return fmt.Sprintf("must be a time from %s to %s", earliestTime.Format(time.RFC3339), latestTime.Format(time.RFC3339))
			}
			*at = pgtype.Timestamptz{Time: parsed, Valid: true}
			return ""
		}
	}
	return "must be a time with a zone, like 2026-01-02T15:04:05Z or 2026-01-02 15:04:05+00"
}

func oneOf(words []string) string { return "one of " + strings.Join(words, ", ") }
