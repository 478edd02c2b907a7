package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/csvfile"
	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
)

type signalsCmd struct {
	Replay signalsReplayCmd `cmd:"" help:"Apply deliveries of a provider again, from a file or URL in which the platform recorded them."`
}

func (signalsCmd) Help() string { return signalsReplayCmd{}.Help() }

type signalsReplayCmd struct {
	database    `embed:""`
	File        string        `arg:"" optional:"" help:"File with the record: JSON Lines, or CSV with a header; - reads standard input."`
	From        string        `help:"Fetch the record from this URL instead." placeholder:"URL"`
	TokenEnv    string        `help:"Environment variable with the token for --from." placeholder:"VARIABLE"`
	TokenHeader string        `help:"Header in which the token is sent. In Authorization it is sent as a Bearer token." default:"Authorization" placeholder:"HEADER"`
	Timeout     time.Duration `help:"Maximum duration of the download from --from." default:"10m"`
	Since       time.Time     `help:"Skip deliveries received before this time, for example 3d (3 days ago), yesterday or \"2026-12-02 14:00\"." type:"since" required:"" placeholder:"TIME"`
	Reason      string        `help:"Reason, for the audit log." placeholder:"TEXT"`
	DryRun      bool          `help:"Count the outcomes without changing anything."`
	JSON        bool          `help:"Print JSON."`
}

func (c *signalsReplayCmd) Validate() error {
	switch {
	case c.File == "" && c.From == "":
		return errors.New("no record given: pass a file, or --from with a URL")
	case c.File != "" && c.From != "":
		return errors.New("a file and --from cannot be combined: pass one of them")
	case c.TokenEnv != "" && c.From == "":
		return errors.New("--token-env requires --from: a file needs no token")
	case c.Timeout <= 0:
		return errors.New("--timeout must be greater than zero")
	case !headerName.MatchString(c.TokenHeader):
		return errors.New("--token-header must be a header name, for example X-Api-Key")
	case c.From == "":
		return nil
	}
	if _, err := parseEndpoint(c.From); err != nil {
		return fmt.Errorf("--from is invalid: %w", err)
	}
	return nil
}

// headerName matches the accepted header names.
var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// open opens the record, and returns its name for error messages.
func (c *signalsReplayCmd) open(ctx context.Context, stdin io.Reader) (io.ReadCloser, string, error) {
	if c.From == "" {
		in, err := openInput(c.File, stdin)
		return in, c.File, err
	}
	to, err := parseEndpoint(c.From)
	if err != nil {
		return nil, "", err
	}
	from := endpoint{url: to, within: c.Timeout, max: maxFetched}
	if c.TokenEnv != "" {
		if from.secret, err = secretOf(c.TokenEnv); err != nil {
			return nil, "", err
		}
		if from.header = http.CanonicalHeaderKey(c.TokenHeader); from.header == "Authorization" {
			from.secret = "Bearer " + from.secret
		}
	}
	in, err := from.fetch(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("fetching %s: %w", from.name(), err)
	}
	return in, from.name(), nil
}

func (signalsReplayCmd) Help() string {
	return "Use this for deliveries that were acknowledged and then lost, for example by a failover to a lagging replica. Each delivery is processed like one from its webhook route: " +
		"a delivery that is already recorded is a duplicate, and a delivery that is older than the status of its account changes nothing. You can replay any part of a record any number of times.\n\n" +
		"Fields: route (" + strings.Join(webhook.Routes(), ", ") + "), received_at, body, and webhook_id for standard. In JSON Lines, body is a JSON value or a string.\n\n" +
		"--from fetches the record by HTTP GET. The whole record, at most 1 GiB, is stored in a temporary file before any of it is applied. Redirects to another host are " +
		"not followed. Use https: with http the token is sent in plain text.\n\n" +
		"Example:\n  thaw signals replay deliveries.jsonl --since 2026-01-31T09:00:00Z --dry-run\n" +
		"  PLATFORM_TOKEN=… thaw signals replay --from https://platform.example.com/deliveries --token-env PLATFORM_TOKEN --since 2026-01-31T09:00:00Z"
}

// replaySignalsAtOnce is how many deliveries are applied at a time, each in its own transaction.
const replaySignalsAtOnce = 4

func (c *signalsReplayCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		in, name, err := c.open(ctx, e.stdin)
		if err != nil {
			return err
		}
		defer in.Close()
		if !c.DryRun {
			detail := fmt.Sprintf("%s, since %s", inputDetail(name), c.Since.UTC().Format(time.RFC3339))
			if _, err := operate(db).Record(ctx, enum.ActionSignalsReplayed, detail, c.Reason); err != nil {
				return err
			}
		}
		outcomes, err := c.replay(ctx, e, db, in)
		if err != nil {
			return fmt.Errorf("replaying %s: %w", name, err)
		}
		if c.JSON {
			if err := writeJSON(e.stdout, map[string]any{"dry_run": c.DryRun, "outcomes": outcomes}); err != nil {
				return err
			}
		} else {
			what := "replayed"
			if c.DryRun {
				what = "dry run"
			}
			printf(e.stdout, "%s: %s\n", what, countsText(outcomes))
		}
		if outcomes["refused"] > 0 {
			return errSilent
		}
		return nil
	})
}

func (c *signalsReplayCmd) replay(ctx context.Context, e *env, db *store.Store, in io.Reader) (map[string]int64, error) {
	shown := newProgress(e.stderr, "replay", "deliveries", -1)
	defer shown.finish()
	var mu sync.Mutex
	outcomes, done := map[string]int64{}, int64(0)
	count := func(outcome string) {
		mu.Lock()
		defer mu.Unlock()
		outcomes[outcome]++
		done++
		shown.set(done)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(replaySignalsAtOnce)
	var failed error
	for line, err := range records(in) {
		if err != nil {
			failed = err
			break
		}
		if line.err == nil && line.record.ReceivedAt.Before(c.Since) {
			count("before_since")
			continue
		}
		var signal webhook.Signal
		if line.err == nil {
			signal, line.err = webhook.Decode(line.record)
		}
		if line.err != nil {
			printf(e.stderr, "line %d: %s\n", line.number, line.err)
			count("refused")
			continue
		}
		group.Go(func() error {
			outcome, err := receiveSignal(ctx, db, signal, c.DryRun)
			if err == nil {
				count(outcome)
			}
			return err
		})
		if ctx.Err() != nil {
			break
		}
	}
	return outcomes, errors.Join(group.Wait(), failed)
}

var errDryRun = errors.New("dry run")

// receiveSignal applies a signal like a webhook. A dry run rolls it back.
func receiveSignal(ctx context.Context, db *store.Store, signal webhook.Signal, dryRun bool) (outcome string, err error) {
	if !dryRun {
		return db.Trip().ReceiveSignal(ctx, server.SignalParams(signal))
	}
	err = db.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		outcome, err = q.ReceiveSignal(ctx, server.SignalParams(signal))
		return errors.Join(err, errDryRun)
	})
	if errors.Is(err, errDryRun) && outcome != "" {
		err = nil
	}
	return outcome, err
}

// countsText formats counts, sorted by name.
func countsText(counts map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %s", number(counts[name]), strings.ReplaceAll(name, "_", " ")))
	}
	if parts == nil {
		return "no lines"
	}
	return strings.Join(parts, ", ")
}

// openInput opens a file, or standard input for "-".
func openInput(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(name)
}

// inputDetail names an input for the audit log.
func inputDetail(name string) string {
	switch {
	case name == "-":
		return "standard input"
	case strings.Contains(name, "://"):
		return name
	default:
		return "file " + name
	}
}

// A recordLine is one delivery in a record.
type recordLine struct {
	number int
	record webhook.Record
	err    error // why the line is invalid
}

// recordColumns are the CSV columns of a record.
var recordColumns = []string{"route", "received_at", "webhook_id", "body"}

// records iterates over the deliveries of a record. It stops after an error.
func records(in io.Reader) iter.Seq2[recordLine, error] {
	return func(yield func(recordLine, error) bool) {
		text, err := csvfile.Text(in)
		if err != nil {
			yield(recordLine{}, err)
			return
		}
		switch first, _ := text.Peek(1); string(first) {
		case "{":
			jsonRecords(text, yield)
			return
		case "[":
			yield(recordLine{}, errors.New("it is a JSON array: write one delivery per line (JSON Lines), for example with jq -c '.[]'"))
			return
		}
		for row, err := range csvRows(text, recordColumns, "webhook_id") {
			if err != nil {
				yield(recordLine{}, err)
				return
			}
			line := recordLine{number: row.line, err: row.err}
			if line.err == nil {
				line.record = webhook.Record{Route: row.field["route"], ID: row.field["webhook_id"], Body: []byte(row.field["body"])}
				line.record.ReceivedAt, line.err = timeOf("received_at", row.field["received_at"])
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

func jsonRecords(text *bufio.Reader, yield func(recordLine, error) bool) {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, csvfile.MaxRecord)
	for number := 1; lines.Scan(); number++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		line := recordLine{number: number}
		var fields struct {
			Route      string          `json:"route"`
			ReceivedAt string          `json:"received_at"`
			WebhookID  string          `json:"webhook_id"`
			Body       json.RawMessage `json:"body"`
		}
		if line.err = json.Unmarshal(lines.Bytes(), &fields); line.err == nil {
			line.record = webhook.Record{Route: fields.Route, ID: fields.WebhookID, Body: fields.Body}
			var quoted string
			if json.Unmarshal(fields.Body, &quoted) == nil {
				line.record.Body = []byte(quoted)
			}
			line.record.ReceivedAt, line.err = timeOf("received_at", fields.ReceivedAt)
		}
		if !yield(line, nil) {
			return
		}
	}
	if err := lines.Err(); err != nil {
		yield(recordLine{}, fmt.Errorf("reading a line (at most %d bytes): %w", csvfile.MaxRecord, err))
	}
}

func timeOf(name, value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %q is not a time: it must be like 2026-01-31T09:00:00Z", name, value)
	}
	return at, nil
}

// A csvRow is a CSV row, keyed by column name.
type csvRow struct {
	line  int
	field map[string]string
	err   error // why the row is invalid
}

// csvRows iterates over a CSV file. Its header must name the wanted columns, except the optional
// ones. Other columns are ignored. It stops after an error.
func csvRows(in io.Reader, wanted []string, optional ...string) iter.Seq2[csvRow, error] {
	return func(yield func(csvRow, error) bool) {
		file, err := csvfile.NewReader(in)
		var header []string
		if err == nil {
			header, err = file.Read()
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		names := csvfile.Names(header)
		mustName := ": the first line must have the columns " + strings.Join(wanted, ", ")
		if err == nil {
			if wrong := csvfile.CheckHeader(names, wanted); wrong != "" {
				err = errors.New("line 1: " + wrong + mustName)
			}
		}
		for _, name := range wanted {
			if err == nil && !slices.Contains(names, name) && !slices.Contains(optional, name) {
				err = errors.New("line 1: column " + name + " is missing" + mustName)
			}
		}
		for err == nil {
			var record []string
			record, err = file.Read()
			row := csvRow{field: map[string]string{}}
			switch problem, isProblem := errors.AsType[*csvfile.ProblemError](err); {
			case isProblem && !problem.Ends:
				err = nil
				row.line, row.err = problem.Line, errors.New(problem.Message)
			case err != nil:
				continue
			default:
				row.line = file.Line(0)
				for i, name := range names {
					row.field[name] = strings.Clone(record[i])
				}
			}
			if !yield(row, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(csvRow{}, err)
		}
	}
}
