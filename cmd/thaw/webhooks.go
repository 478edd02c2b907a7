package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
	"github.com/thawline/thaw/worker"
)

// webhookFlag has the flags of a process that delivers messages to the platform.
type webhookFlag struct {
	WebhookURL          string  `help:"Where to tell the platform what happened: a URL that takes Standard Webhooks. None: this process tells nobody." placeholder:"URL" env:"THAW_WEBHOOK_URL"`
	WebhookSecret       secrets `help:"Secret that signs these messages: whsec_ and base64 of 24 to 64 bytes. Two, separated by a comma, while one replaces the other." placeholder:"SECRET" env:"THAW_WEBHOOK_SECRET"`
	WebhookAllowPrivate bool    `help:"Allow http, and receivers on addresses that are not public." env:"THAW_WEBHOOK_ALLOW_PRIVATE"`
}

func (f *webhookFlag) Validate() error {
	_, err := f.sender()
	return err
}

// sender returns nil if nobody is to be told.
func (f *webhookFlag) sender() (*outbound.Sender, error) {
	switch {
	case f.WebhookURL == "" && len(f.WebhookSecret) > 0:
		return nil, errors.New("--webhook-secret is given, but no receiver: set --webhook-url")
	case f.WebhookURL == "":
		return nil, nil //nolint:nilnil // Nobody is to be told.
	case len(f.WebhookSecret) == 0:
		return nil, errors.New("--webhook-url is given, but nothing to sign with: set THAW_WEBHOOK_SECRET")
	}
	return outbound.New(outbound.Config{URL: f.WebhookURL, Secrets: f.WebhookSecret, AllowPrivate: f.WebhookAllowPrivate})
}

// register makes the receiver known to all processes, so that they write messages for it. Nil: nobody is to be told.
func (f *webhookFlag) register(ctx context.Context, db *store.Store, e *env) (*worker.Webhooks, error) {
	sender, err := f.sender()
	if sender == nil || err != nil {
		return nil, err
	}
	endpoint, err := db.RegisterEndpoint(ctx, sender.URL())
	if err != nil {
		return nil, fmt.Errorf("registering the webhook: %w", err)
	}
	if endpoint.DisabledReason != nil {
		e.logger.WarnContext(ctx, "the webhook is disabled; thaw webhooks enable lets messages flow again", "url", outbound.Masked(sender.URL()), "reason", *endpoint.DisabledReason)
	}
	return &worker.Webhooks{EndpointID: endpoint.ID, Sender: sender}, nil
}

type webhooksCmd struct {
	List   webhooksListCmd   `cmd:"" help:"List the receivers, and the newest messages with what came of them."`
	Test   webhooksTestCmd   `cmd:"" help:"Send a test.ping to every receiver that is enabled."`
	Replay webhooksReplayCmd `cmd:"" help:"Send messages again, under the same ids."`
	Enable webhooksEnableCmd `cmd:"" help:"Let messages flow again to a receiver that was disabled."`
	Remove webhooksRemoveCmd `cmd:"" help:"Forget a receiver, with what is still to be delivered to it."`
}

func (webhooksCmd) Help() string {
	return "A receiver is added by starting thaw serve or work with --webhook-url.\n\n" + webhooksListCmd{}.Help()
}

type webhooksListCmd struct {
	database `embed:""`
	Limit    int32  `help:"Messages to show." default:"20"`
	Before   string `help:"Show those before this one." placeholder:"MESSAGE_ID"`
	JSON     bool   `help:"Print JSON."`
}

func (webhooksListCmd) Help() string { return "Example:\n  thaw webhooks list --limit 100 --json" }

func (c *webhooksListCmd) Validate() error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return fmt.Errorf("--limit=%d: must be between 1 and 10000", c.Limit)
	}
	return nil
}

// What the list prints for programs.
type (
	webhooksPage struct {
		Endpoints []webhookEndpoint `json:"endpoints"`
		Messages  []webhookMessage  `json:"messages"`
		// Next is what --before takes for the next page; null: this was the last one.
		Next *string `json:"next"`
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
		known, err := db.IsMessage(ctx, c.Before)
		switch {
		case err != nil:
			return page, err
		case !known:
			return page, unknownMessage(c.Before)
		}
		params.Before = &c.Before
	}
	endpoints, err := db.Endpoints(ctx)
	if err != nil {
		return page, err
	}
	rows, err := db.Messages(ctx, params)
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
		page.Next = &page.Messages[n-1].ID
	}
	return page, nil
}

func (p webhooksPage) print(e *env) error {
	if len(p.Endpoints) == 0 {
		printf(e.stdout, "There is no receiver: start thaw serve or work with --webhook-url.\n")
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if len(p.Endpoints) > 0 {
		printf(w, "RECEIVER\tWAITING\tFAILED\tDISABLED\n")
		for _, r := range p.Endpoints {
			disabled := "no"
			if r.DisabledAt != nil {
				disabled = stamp(*r.DisabledAt) + ": " + deref(r.DisabledReason)
			}
			printf(w, "%s\t%d\t%d\t%s\n", r.URL, r.Waiting, r.Failed, disabled)
		}
	}
	if err := w.Flush(); err != nil || len(p.Messages) == 0 {
		return err
	}
	printf(e.stdout, "\n")
	printf(w, "AT\tMESSAGE\tTYPE\tRECEIVER\tSTATE\tATTEMPTS\tNEXT ATTEMPT\tLAST PROBLEM\n")
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			printf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", stamp(m.At), m.ID, m.Type, d.URL, d.State, d.Attempts, stampOr(d.NextAttemptAt, "-"), deref(d.LastError))
		}
		if len(m.Deliveries) == 0 {
			printf(w, "%s\t%s\t%s\t-\tits receiver was removed\t\t\t\n", stamp(m.At), m.ID, m.Type)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if p.Next != nil {
		printf(e.stdout, "for those before: --before %s\n", *p.Next)
	}
	return nil
}

func unknownMessage(id string) error {
	return fmt.Errorf("there is no message %q: thaw webhooks list has the ids; old ones are removed", id)
}

type webhooksTestCmd struct {
	database `embed:""`
	Wait     bool          `help:"Wait for the first answer of every receiver, and say what it was."`
	Timeout  time.Duration `help:"How long to wait." default:"30s"`
	JSON     bool          `help:"Print JSON."`
}

func (webhooksTestCmd) Help() string {
	return "A process that was started with --webhook-url has to be running: the secret is in its hands. With --wait the exit code is 1 unless all receivers took it.\n\nExample:\n  thaw webhooks test --wait"
}

func (c *webhooksTestCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		data, err := json.Marshal(map[string]string{"sent_by": "cli:" + login()})
		if err != nil {
			return err
		}
		id, err := db.Publish(ctx, dbsqlc.PublishParams{Type: "test.ping", Data: data})
		switch {
		case err != nil:
			return err
		case id == "":
			return errors.New("there is no receiver that is enabled: thaw webhooks list shows them; start thaw serve or work with --webhook-url to add one")
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

// follow waits until every receiver was tried.
func (c *webhooksTestCmd) follow(ctx context.Context, db *store.Store, id string) (rows []dbsqlc.MessageRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err = poll(ctx, func() (done bool, err error) {
		if rows, err = db.Message(ctx, id); err != nil {
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
		return nil, fmt.Errorf("message %s was not tried at every receiver within %s: is a process running that was started with its --webhook-url? Nothing is lost, it is sent as soon as one is", id, c.Timeout)
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
		printf(e.stdout, "message %s is on its way\n", id)
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
	database  `embed:""`
	MessageID string    `arg:"" optional:"" help:"Send this message."`
	Since     time.Time `help:"Send all messages since this time, like 2026-01-31T09:00:00Z." placeholder:"TIME"`
	Failed    bool      `help:"Only to receivers for which they were given up."`
	JSON      bool      `help:"Print JSON."`
}

func (webhooksReplayCmd) Help() string {
	return "Receivers know by the id what they have; what was delivered is sent again all the same. Only receivers that are enabled get anything, also those that were added later.\n\nExample:\n  thaw webhooks replay --since 2026-01-31T09:00:00Z --failed"
}

func (c *webhooksReplayCmd) Validate() error {
	if (c.MessageID == "") == c.Since.IsZero() {
		return errors.New("name what to send again: a message id, or --since")
	}
	return nil
}

// replayAtOnce is how many messages one transaction sends again.
const replayAtOnce = 1000

func (c *webhooksReplayCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		params := dbsqlc.ReplayParams{Failed: c.Failed, Size: replayAtOnce}
		if c.MessageID != "" {
			known, err := db.IsMessage(ctx, c.MessageID)
			switch {
			case err != nil:
				return err
			case !known:
				return unknownMessage(c.MessageID)
			}
			params.MessageID = &c.MessageID
		} else {
			params.Since = &c.Since
		}
		var total dbsqlc.ReplayRow
		for {
			again, err := db.Trip().Replay(ctx, params)
			if err != nil {
				return err
			}
			total.Messages += again.Messages
			total.Deliveries += again.Deliveries
			if again.NextBefore == 0 {
				break
			}
			params.Before = &again.NextBefore
		}
		if c.JSON {
			return writeJSON(e.stdout, map[string]int64{"messages": total.Messages, "deliveries": total.Deliveries})
		}
		printf(e.stdout, "%d messages are sent again, in %d deliveries\n", total.Messages, total.Deliveries)
		return nil
	})
}

type webhooksEnableCmd struct {
	database `embed:""`
	URL      string `arg:"" help:"URL of the receiver."`
}

func (webhooksEnableCmd) Help() string {
	return "Messages of the time in which no receiver was enabled were not written; those that were given up can be sent again with replay.\n\nExample:\n  thaw webhooks enable https://platform.example.com/thaw"
}

func (c *webhooksEnableCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		enabled, err := db.EnableEndpoint(ctx, c.URL)
		if err == nil && enabled == 0 {
			err = unknownReceiver(c.URL)
		}
		if err != nil {
			return err
		}
		printf(e.stdout, "receiver %s is enabled\n", outbound.Masked(c.URL))
		return nil
	})
}

type webhooksRemoveCmd struct {
	database `embed:""`
	URL      string `arg:"" help:"URL of the receiver."`
}

func (webhooksRemoveCmd) Help() string {
	return "First take --webhook-url from the processes: one that is started with it adds the receiver again.\n\nExample:\n  thaw webhooks remove https://platform.example.com/thaw"
}

func (c *webhooksRemoveCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		removed, err := db.RemoveEndpoint(ctx, c.URL)
		if err == nil && !removed {
			err = unknownReceiver(c.URL)
		}
		if err != nil {
			return err
		}
		printf(e.stdout, "receiver %s is removed\n", outbound.Masked(c.URL))
		return nil
	})
}

func unknownReceiver(url string) error {
	return fmt.Errorf("there is no receiver %q: thaw webhooks list shows them, without their queries", outbound.Masked(url))
}
