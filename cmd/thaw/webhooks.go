package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
	"github.com/thawline/thaw/worker"
)

// webhookFlag has the flags of a process that sends webhooks to the platform.
type webhookFlag struct {
	WebhookURL          string   `help:"URL to which Thaw sends events as Standard Webhooks. Disabled if empty." placeholder:"URL" env:"THAW_WEBHOOK_URL"`
	WebhookSecret       []string `type:"secrets" help:"Secret that signs these messages: whsec_ followed by base64 of 24 to 64 bytes. To rotate it, pass the old and the new secret, separated by a comma." placeholder:"SECRET" env:"THAW_WEBHOOK_SECRET"`
	WebhookAllowPrivate bool     `help:"Allow http, and receivers on private addresses." env:"THAW_WEBHOOK_ALLOW_PRIVATE"`
}

func (f *webhookFlag) Validate() error {
	_, err := f.sender()
	return err
}

// sender returns nil if no webhook is configured.
func (f *webhookFlag) sender() (*outbound.Sender, error) {
	switch {
	case f.WebhookURL == "" && len(f.WebhookSecret) > 0:
		return nil, errors.New("--webhook-secret is set without a receiver: set --webhook-url")
	case f.WebhookURL == "":
		return nil, nil //nolint:nilnil // No webhook is configured.
	case len(f.WebhookSecret) == 0:
		return nil, errors.New("--webhook-url is set without a signing secret: set THAW_WEBHOOK_SECRET")
	}
	return outbound.New(outbound.Config{URL: f.WebhookURL, Secrets: f.WebhookSecret, AllowPrivate: f.WebhookAllowPrivate})
}

// register stores the receiver in the database, so that all processes write messages for it. It
// returns nil if no webhook is configured.
func (f *webhookFlag) register(ctx context.Context, db *store.Store, e *env) (*worker.Webhooks, error) {
	sender, err := f.sender()
	if sender == nil || err != nil {
		return nil, err
	}
	endpoint, err := db.Trip().RegisterEndpoint(ctx, dbsqlc.RegisterEndpointParams{
		Url: sender.URL(), Detail: outbound.Masked(sender.URL()), Actor: flagsActor(),
	})
	if err != nil {
		return nil, fmt.Errorf("registering the webhook: %w", err)
	}
	if endpoint.DisabledReason != nil {
		e.logger.WarnContext(ctx, "the webhook is disabled; run thaw webhooks enable to enable it", "url", outbound.Masked(sender.URL()), "reason", *endpoint.DisabledReason)
	}
	return &worker.Webhooks{EndpointID: endpoint.ID, Sender: sender}, nil
}

type webhooksCmd struct {
	List   webhooksListCmd   `cmd:"" help:"List the receivers, and the newest messages with their deliveries."`
	Test   webhooksTestCmd   `cmd:"" help:"Send a test.ping to every enabled receiver."`
	Replay webhooksReplayCmd `cmd:"" help:"Send messages again, with the same IDs."`
	Enable webhooksEnableCmd `cmd:"" help:"Enable a disabled receiver."`
	Remove webhooksRemoveCmd `cmd:"" help:"Remove a receiver and the messages waiting for it."`
}

func (webhooksCmd) Help() string {
	return "To add a receiver, start thaw serve or thaw work with --webhook-url.\n\n" + webhooksListCmd{}.Help()
}

type webhooksListCmd struct {
	database `embed:""`
	Limit    int32  `help:"Number of messages to show." default:"20"`
	Before   string `help:"Show messages that are older than this one." placeholder:"MESSAGE_ID"`
	JSON     bool   `help:"Print JSON."`
}

func (webhooksListCmd) Help() string { return "Example:\n  thaw webhooks list --limit 100 --json" }

func (c *webhooksListCmd) Validate() error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return fmt.Errorf("--limit=%d: must be between 1 and 10000", c.Limit)
	}
	return nil
}

// The JSON output of the list.
type (
	webhooksPage struct {
		Endpoints []webhookEndpoint `json:"endpoints"`
		Messages  []webhookMessage  `json:"messages"`
		// Next is the value of --before for the next page; null on the last page.
		Next *string `json:"next"`
		more int64   // messages after this page, counted up to readmodel.MaxCounted
	}
	webhookEndpoint struct {
		URL            string     `json:"url"`
		CreatedAt      time.Time  `json:"created_at"`
		DisabledAt     *time.Time `json:"disabled_at"`
		DisabledReason *string    `json:"disabled_reason"`
		Waiting        int64      `json:"waiting"`
		Failed         int64      `json:"failed"`
	}
	webhookMessage struct {
		ID         string            `json:"id"`
		Type       string            `json:"type"`
		At         time.Time         `json:"at"`
		Data       json.RawMessage   `json:"data"`
		Deliveries []webhookDelivery `json:"deliveries"`
	}
	webhookDelivery struct {
		URL           string     `json:"url"`
		State         string     `json:"state"`
		Attempts      int32      `json:"attempts"`
		NextAttemptAt *time.Time `json:"next_attempt_at"`
		LastAttemptAt *time.Time `json:"last_attempt_at"`
		LastStatus    *int32     `json:"last_status"`
		LastError     *string    `json:"last_error"`
		DeliveredAt   *time.Time `json:"delivered_at"`
	}
)

func (c *webhooksListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		page, err := c.read(ctx, db)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, page)
		}
		return page.print(e)
	})
}

func (c *webhooksListCmd) read(ctx context.Context, db *store.Store) (page webhooksPage, err error) {
	params := dbsqlc.MessagesParams{Size: c.Limit}
	if c.Before != "" {
		known, err := db.Read().IsMessage(ctx, c.Before)
		switch {
		case err != nil:
			return page, err
		case !known:
			return page, unknownMessage(c.Before)
		}
		params.Before = &c.Before
	}
	endpoints, err := db.Read().Endpoints(ctx)
	if err != nil {
		return page, err
	}
	rows, err := db.Read().Messages(ctx, params)
	if err != nil {
		return page, err
	}
	page.Endpoints = make([]webhookEndpoint, len(endpoints))
	for i, r := range endpoints {
		page.Endpoints[i] = webhookEndpoint{outbound.Masked(r.Url), r.CreatedAt.UTC(), r.DisabledAt, r.DisabledReason, r.Waiting, r.Failed}
	}
	page.Messages = []webhookMessage{}
	for _, r := range rows {
		if n := len(page.Messages); n == 0 || page.Messages[n-1].ID != r.MessageID {
			page.Messages = append(page.Messages, webhookMessage{r.MessageID, r.Type, r.At.UTC(), r.Data, []webhookDelivery{}})
		}
		if r.Url != "" {
			message := &page.Messages[len(page.Messages)-1]
			message.Deliveries = append(message.Deliveries, webhookDelivery{
				outbound.Masked(r.Url), r.State, r.Attempts, r.NextAttemptAt, r.LastAttemptAt, r.LastStatus, r.LastError, r.DeliveredAt,
			})
		}
	}
	if n := len(page.Messages); n == int(c.Limit) {
		last := page.Messages[n-1].ID
		page.more, err = db.Read().CountMessagesBefore(ctx, dbsqlc.CountMessagesBeforeParams{Before: last, AtMost: readmodel.MaxCounted})
		if page.more > 0 {
			page.Next = &last
		}
	}
	return page, err
}

func (p webhooksPage) print(e *env) error {
	if len(p.Endpoints) == 0 {
		printf(e.stdout, "No receiver is registered. To add one, start thaw serve or thaw work with --webhook-url.\n")
	}
	if len(p.Endpoints) > 0 {
		t := newTable(text("RECEIVER"), numbers("WAITING"), numbers("FAILED"), text("DISABLED"))
		for _, r := range p.Endpoints {
			disabled := "no"
			if r.DisabledAt != nil {
				disabled = stamp(*r.DisabledAt) + ": " + deref(r.DisabledReason)
			}
			t.add(r.URL, number(r.Waiting), number(r.Failed), disabled)
		}
		t.write(e.stdout)
	}
	if len(p.Messages) == 0 {
		return nil
	}
	printf(e.stdout, "\n")
	t := newTable(fixed("AT (UTC)"), fixed("MESSAGE"), text("TYPE"), text("RECEIVER"), text("STATE"), numbers("ATTEMPTS"), fixed("NEXT ATTEMPT"), text("LAST ERROR"))
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			t.add(minute(&m.At, ""), m.ID, m.Type, d.URL, d.State, number(d.Attempts), minute(d.NextAttemptAt, "-"), deref(d.LastError))
		}
		if len(m.Deliveries) == 0 {
			t.add(minute(&m.At, ""), m.ID, m.Type, "-", "receiver removed", "", "", "")
		}
	}
	t.write(e.stdout)
	if p.Next != nil {
		more := many(p.more, "more message")
		if p.more == readmodel.MaxCounted {
			more = "at least " + more
		}
		printf(e.stdout, "next page: --before %s (%s)\n", *p.Next, more)
	}
	return nil
}

func unknownMessage(id string) error {
	return fmt.Errorf("message %q does not exist: run \"thaw webhooks list\" to list the messages; old messages are removed", id)
}

type webhooksTestCmd struct {
	database `embed:""`
	Wait     bool          `help:"Wait for the first attempt at every receiver, and print the result."`
	Timeout  time.Duration `help:"How long to wait with --wait." default:"30s"`
	JSON     bool          `help:"Print JSON."`
}

func (webhooksTestCmd) Help() string {
	return "Requires a running process that was started with --webhook-url, because only that process has the secret. With --wait, exits with 1 unless all receivers accept the message.\n\nExample:\n  thaw webhooks test --wait"
}

func (c *webhooksTestCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		data, err := json.Marshal(map[string]string{"sent_by": "cli:" + login()})
		if err != nil {
			return err
		}
		id, err := db.Trip().Publish(ctx, dbsqlc.PublishParams{Type: "test.ping", Data: data})
		switch {
		case err != nil:
			return err
		case id == "":
			return errors.New("no receiver is enabled: run \"thaw webhooks list\" to list the receivers, or start thaw serve or thaw work with --webhook-url to add one")
		}
		var rows []dbsqlc.MessageRow
		if c.Wait {
			if rows, err = c.follow(ctx, db, id); err != nil {
				return err
			}
		}
		return c.report(e, id, rows)
	})
}

// follow waits until an attempt was made at every receiver.
func (c *webhooksTestCmd) follow(ctx context.Context, db *store.Store, id string) (rows []dbsqlc.MessageRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err = poll(ctx, func() (done bool, err error) {
		if rows, err = db.Read().Message(ctx, id); err != nil {
			return false, err
		}
		for _, r := range rows {
			if r.Attempts == 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("message %s was not sent to every receiver within %s: check that a process with its --webhook-url is running. The message is not lost: it is sent as soon as such a process runs", id, when.Duration(c.Timeout))
	}
	return rows, err
}

func (c *webhooksTestCmd) report(e *env, id string, rows []dbsqlc.MessageRow) error {
	type answer struct {
		URL       string  `json:"url"`
		Delivered bool    `json:"delivered"`
		Status    *int32  `json:"status"`
		Problem   *string `json:"problem"`
	}
	answers := make([]answer, len(rows))
	failed := false
	for i, r := range rows {
		answers[i] = answer{outbound.Masked(r.Url), r.State == string(dbsqlc.ThawDeliveryStateDelivered), r.LastStatus, r.LastError}
		failed = failed || !answers[i].Delivered
	}
	switch {
	case c.JSON:
		if err := writeJSON(e.stdout, map[string]any{"message_id": id, "answers": answers}); err != nil {
			return err
		}
	case !c.Wait:
		printf(e.stdout, "message %s queued\n", id)
	default:
		for _, a := range answers {
			said := deref(a.Problem)
			if a.Delivered {
				said = "delivered"
				if a.Status != nil {
					said += ", " + strconv.Itoa(int(*a.Status))
				}
			}
			printf(e.stdout, "message %s to %s: %s\n", id, a.URL, said)
		}
	}
	if failed {
		return errSilent
	}
	return nil
}

type webhooksReplayCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	MessageID  string    `arg:"" optional:"" help:"ID of the message to send again."`
	Since      time.Time `help:"Send all messages since this time again, for example 3d (3 days ago), yesterday or \"2026-12-02 14:00\"." type:"since" placeholder:"TIME"`
	Failed     bool      `help:"Send only failed deliveries again."`
	JSON       bool      `help:"Print JSON."`
}

func (webhooksReplayCmd) Help() string {
	return "Delivered messages are sent again too: receivers detect them as duplicates by the ID. Messages go to all enabled receivers, including those added later.\n\nExample:\n  thaw webhooks replay --since 2026-01-31T09:00:00Z --failed --reason \"the receiver was down\""
}

func (c *webhooksReplayCmd) Validate() error {
	if (c.MessageID == "") == c.Since.IsZero() {
		return errors.New("no messages given: pass either a message ID or --since")
	}
	return nil
}

func (c *webhooksReplayCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		total, err := o.ReplayMessages(ctx, operator.Replay{MessageID: c.MessageID, Since: c.Since, Failed: c.Failed}, c.Reason)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, map[string]int64{"messages": total.Messages, "deliveries": total.Deliveries})
		}
		printf(e.stdout, "replaying %s in %s\n", many(total.Messages, "message"), deliveries(total.Deliveries))
		return nil
	})
}

// deliveries formats a number of deliveries.
func deliveries(n int64) string {
	if n == 1 {
		return "1 delivery"
	}
	return number(n) + " deliveries"
}

type webhooksEnableCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	URL        string `arg:"" help:"URL of the receiver."`
}

func (webhooksEnableCmd) Help() string {
	return "To send failed messages again, run thaw webhooks replay. While no receiver is enabled, Thaw writes no messages, so there is nothing to replay from that time.\n\nExample:\n  thaw webhooks enable https://platform.example.com/thaw --reason \"the receiver is back\""
}

func (c *webhooksEnableCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		enabled, err := o.EnableEndpoint(ctx, operator.Endpoint{URL: c.URL}, c.Reason)
		switch {
		case err != nil:
			return err
		case !enabled:
			printf(e.stdout, "No change: receiver %s is already enabled.\n", outbound.Masked(c.URL))
		default:
			printf(e.stdout, "receiver %s is enabled\n", outbound.Masked(c.URL))
		}
		return nil
	})
}

type webhooksRemoveCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	URL        string `arg:"" help:"URL of the receiver."`
}

func (webhooksRemoveCmd) Help() string {
	return "First remove --webhook-url from all processes: a process that is started with it adds the receiver again.\n\nExample:\n  thaw webhooks remove https://platform.example.com/thaw --reason \"moved to another URL\""
}

func (c *webhooksRemoveCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if err := o.RemoveEndpoint(ctx, operator.Endpoint{URL: c.URL}, c.Reason); err != nil {
			return err
		}
		printf(e.stdout, "receiver %s is removed\n", outbound.Masked(c.URL))
		return nil
	})
}
