package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
)

//go:generate go test . -run TestFleetIsGenerated -update

var update = flag.Bool("update", false, "rewrite fleet.csv")

func TestFleetIsGenerated(t *testing.T) {
	t.Parallel()
	generated := generate()
	if *update {
		require.NoError(t, os.WriteFile("fleet.csv", generated, 0o644))
		return
	}
	require.True(t, bytes.Equal(generated, fleet), "fleet.csv is outdated: run go generate ./internal/demo")
}

func TestFleetIsLargeEnough(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(fleet)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, importer.Columns, rows[0])
	workspaces, accounts := map[string]bool{}, map[string]bool{}
	for _, row := range rows[1:] {
		workspaces[row[0]], accounts[row[1]] = true, true
	}
	require.GreaterOrEqual(t, len(workspaces), 5)
	require.GreaterOrEqual(t, len(accounts), 30)
	require.GreaterOrEqual(t, len(rows)-1, 6000)
	require.False(t, accounts[monaAgain], "the story inserts this account")
}

// A seat is an account with its prospects in one campaign.
type seat struct {
	workspace string
	account   string // the provider's id
	person    string // determines the member; a person may have several accounts
	status    string
	campaign  string
	// prospects has the number of prospects per status, or per pause reason.
	prospects string
}

// seats is the fleet.
var seats = []seat{
	{"acme", dana, "dana", "connected", "acme-founders", "180 active, 4 paused_by_user, 14 replied, 9 completed"},
	{"acme", id("acme 2"), "liam", "connected", "acme-webinar", "60 account_disconnected"},
	{"acme", id("acme 3"), "sofia", "connected", "acme-hiring", "42 active, 6 replied"},
	{"acme", id("acme 4"), "noah", "connected", "acme-hiring", "37 active, 3 completed"},
	{"acme", id("acme 5"), "nadia", "connected", "acme-partners", "31 active"},
	{"acme", id("acme 6"), "viktor", "connected", "acme-partners", "28 active, 5 pending"},

	{"northwind", ravi, "ravi", "disconnected", "northwind-logistics", "150 account_disconnected, 11 replied"},
	{"northwind", id("northwind 2"), "elena", "connected", "northwind-retail", "45 active, 4 replied"},
	{"northwind", id("northwind 3"), "jonas", "connected", "northwind-retail", "39 active"},
	{"northwind", id("northwind 4"), "amira", "needs_verification", "northwind-retail", "25 account_issue"},
	{"northwind", yuki, "yuki", "connected", "northwind-ports", "35 account_disconnected, 8 active"},

	{"globex", mona, "mona", "disconnected", "globex-cto", "140 account_disconnected, 7 completed"},
	{"globex", omar, "omar", "removed", "globex-security", "60 account_disconnected"},
	{"globex", omarAgain, "omar", "connected", "globex-security", "12 active"},
	{"globex", id("globex 4"), "grace", "connected", "globex-security", "40 active, 2 replied"},
	{"globex", id("globex 5"), "pavel", "disconnected", "globex-banking", "25 account_disconnected"},
	{"globex", id("globex 6"), "pavel", "removed", "globex-banking", "5 account_disconnected"},

	{"initech", team[0], "hugo", "disconnected", "initech-cfo", "3000 account_disconnected"},
	{"initech", team[1], "ines", "disconnected", "initech-cfo", "600 account_disconnected"},
	{"initech", team[2], "tariq", "disconnected", "initech-payroll", "600 account_disconnected"},
	{"initech", team[3], "wanda", "disconnected", "initech-payroll", "600 account_disconnected"},
	{"initech", id("initech 5"), "karl", "connected", "initech-ops", "40 active, 6 completed"},
	{"initech", id("initech 6"), "lucia", "connected", "initech-ops", "33 active"},

	{"umbrella", id("umbrella 1"), "bruno", "connected", "umbrella-pharma", "110 account_disconnected, 10 active"},
	{"umbrella", id("umbrella 2"), "celia", "connected", "umbrella-pharma", "36 active"},
	{"umbrella", id("umbrella 3"), "emeka", "connected", "umbrella-labs", "29 active, 3 replied"},
	{"umbrella", id("umbrella 4"), "freya", "connected", "umbrella-labs", "31 active"},

	{"hooli", id("hooli 1"), "george", "restricted", "hooli-cloud", "75 account_restricted"},
	{"hooli", id("hooli 2"), "hana", "connected", "hooli-search", "90 account_disconnected"},
	{"hooli", id("hooli 3"), "nadia", "removed", "hooli-devices", "45 account_disconnected"},
	{"hooli", id("hooli 4"), "ivo", "connected", "hooli-maps", "30 active, 4 replied"},
	{"hooli", id("hooli 5"), "julia", "disconnected", "hooli-voice", "85 account_disconnected"},
}

// campaignsPaused has the pause reasons of paused campaigns. The other campaigns are running.
var campaignsPaused = map[string]string{
	"acme-webinar":        "paused_by_user",
	"northwind-logistics": "account_disconnected",
	"globex-cto":          "account_disconnected",
	"globex-banking":      "account_disconnected",
	"initech-cfo":         "account_disconnected",
	"initech-payroll":     "account_disconnected",
	"hooli-cloud":         "account_restricted",
	"hooli-search":        "subscription_inactive",
	"hooli-devices":       "account_disconnected",
	"hooli-voice":         "account_disconnected",
}

var (
	statuses   = []string{"pending", "active", "completed", "replied", "failed", "removed"}
	firstNames = []string{"ada", "bela", "chidi", "dora", "egon", "fatima", "gita", "henk", "ilse", "jomo", "kaori", "lev", "mila", "nils", "oona", "pia", "quinn"}
	lastNames  = []string{"arkwright", "bramblewood", "castellan", "drummond", "everglade", "fairbairn", "goldfinch", "hollander", "ironwood", "juniper", "kestrel", "larkspur", "merriweather"}
)

// generate returns the fleet as a file to import. The result is always the same.
func generate() []byte {
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	write := func(row []string) {
		if err := w.Write(row); err != nil {
			panic(err)
		}
	}
	write(importer.Columns)
	prospects := 0
	for _, s := range seats {
		why, campaignStatus := campaignsPaused[s.campaign], "running"
		if why != "" {
			campaignStatus = "paused"
		}
		for group := range strings.SplitSeq(s.prospects, ", ") {
			var count int
			var word string
			if _, err := fmt.Sscan(group, &count, &word); err != nil {
				panic(err)
			}
			for range count {
				prospects++
				status, reason, pausedAt := word, "", ""
				if !slices.Contains(statuses, word) {
					status, reason = "paused", word
					pausedAt = time.Date(2025, 9, 1, 7, 0, 0, 0, time.UTC).Add(time.Duration(prospects) * 7 * time.Minute).Format(time.RFC3339)
				}
				url := fmt.Sprintf("https://www.linkedin.com/in/%s-%s-made-up-%04d",
					firstNames[prospects%len(firstNames)], lastNames[prospects%len(lastNames)], prospects)
				write([]string{
					s.workspace, s.account, member(s.person), s.status, s.campaign, campaignStatus, why,
					url, status, reason, pausedAt, strconv.Itoa(prospects * 7 % 5), "",
				})
			}
		}
	}
	w.Flush()
	return file.Bytes()
}

// id returns an account ID in the format of the provider.
func id(name string) string { return hash("account " + name)[:22] }

// member returns a member ID in the format of LinkedIn.
func member(person string) string { return "ACoAA" + hash("member " + person)[:22] }

func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
