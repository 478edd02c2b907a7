package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/when"
)

type providerSimCmd struct {
	Addr         string        `help:"Loopback address to listen on." default:"127.0.0.1:8090"`
	Seed         uint64        `help:"Seed of the faults: the same requests have the same answers." default:"1"`
	Faults       string        `help:"Shares of requests that fail, for example reset=0.01,limit_exceeded=0.02. Faults: ${faults}." placeholder:"NAME=SHARE,…"`
	Latency      time.Duration `help:"Longest time that an answer takes, at most 1m. Each takes a random part of it." default:"0s"`
	StatusURL    string        `name:"status-url" help:"URL that receives the status of accounts, as the provider's webhook: that of /webhooks/unipile/v1." placeholder:"URL"`
	StatusSecret string        `help:"Secret in the header Unipile-Auth of that webhook." placeholder:"SECRET"`
}

func (providerSimCmd) Help() string {
	return "A provider for tests of senders. It has the provider's routes for invites, messages, e-mails and profiles, and delivers nothing. " +
		"GET /log returns every request as NDJSON, with what was delivered. POST /faults makes the next requests fail: " +
		`{"fault": "reset", "account_id": "acc_jane", "kind": "invite", "count": 3}. ` +
		`{"fault": "slow", "seconds": 90} does the next request at once and answers after that time, so that a sender with a shorter timeout gets no answer. ` +
		`POST /accounts/ID with {"status": "OK"} connects an account again, and sends the webhook.` +
		"\n\nExample:\n  thaw provider-sim --faults reset=0.01,limit_as_500=0.01 --status-url http://127.0.0.1:8080/webhooks/unipile/v1 --status-secret s3cret"
}

func (c *providerSimCmd) Validate() error {
	if !access.Loopback(c.Addr) {
		return fmt.Errorf("--addr=%s is reachable from other hosts, and the simulator has no password: listen on 127.0.0.1", c.Addr)
	}
	if c.Latency < 0 || c.Latency > time.Minute {
		return fmt.Errorf("--latency=%s: must be between 0s and 1m", when.Duration(c.Latency))
	}
	if to, err := url.Parse(c.StatusURL); c.StatusURL != "" && (err != nil || !strings.HasPrefix(to.Scheme, "http") || to.Host == "") {
		return errors.New("--status-url: it must begin with http:// or https:// and have a host")
	}
	_, err := providersim.ParseRates(c.Faults)
	if err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	return nil
}

func (c *providerSimCmd) Run(ctx context.Context, e *env) error {
	rates, err := providersim.ParseRates(c.Faults)
	if err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	listener, err := listen(ctx, "--addr", c.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	sim := providersim.New(providersim.Config{
		Seed: c.Seed, Rates: rates, Latency: c.Latency, StatusURL: c.StatusURL, StatusSecret: c.StatusSecret, Logger: e.logger,
	})
	defer sim.Close()
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	e.logger.InfoContext(ctx, "the provider simulator listens", "addr", listener.Addr().String(), "seed", c.Seed)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
